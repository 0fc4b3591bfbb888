use super::*;

fn at(minutes: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + minutes * 60)
}

fn lasting(name: &str, minutes: u64) -> TokenSecret {
    TokenSecret {
        name: name.to_owned(),
        lasting: true,
        token: Some(format!("token of {name}")),
        created: at(minutes),
    }
}

fn bound(name: &str, minutes: u64) -> TokenSecret {
    TokenSecret {
        lasting: false,
        token: None,
        ..lasting(name, minutes)
    }
}

fn held(secret: &str) -> Held {
    Held {
        user: secret.to_owned(),
        token: format!("token of {secret}"),
        ..Held::default()
    }
}

/// A token that says when it began and ends, in minutes.
fn jwt(from: u64, until: u64) -> String {
    let seconds = |minutes| at(minutes).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = serde_json::json!({"iat": seconds(from), "exp": seconds(until)}).to_string();
    let url = pem::base64(claims.as_bytes()).replace('+', "-").replace('/', "_");
    format!("head.{}.signature", url.trim_end_matches('='))
}

const KEEP: Wish = Wish {
    lifetime: Lifetime::Lasting,
    rotate: false,
};
const ROTATE: Wish = Wish { rotate: true, ..KEEP };
const HOUR: Wish = Wish {
    lifetime: Lifetime::For(Duration::from_secs(3600)),
    rotate: false,
};

/// The plan on one line: Secret, where the token is from, what is revoked, what is spared and until which minute.
fn planned(there: &[TokenSecret], held: &Held, wish: Wish, minute: u64) -> String {
    let Tokens {
        secret,
        source,
        revoke,
        spare,
    } = plan(there, held, wish, at(minute));
    let minutes = |until: SystemTime| until.duration_since(at(0)).unwrap().as_secs() / 60;
    let spare: Vec<String> = spare
        .iter()
        .map(|(name, until)| format!("{name} until {}", minutes(*until)))
        .collect();
    format!("{secret} {source:?} revoke {revoke:?} spare {spare:?}")
}

#[test]
fn a_token_is_made_once_and_kept() {
    let nothing = Held::default();
    let first = lasting("bailey-hub-token", 0);
    let of_another = Held {
        token: "other".to_owned(),
        ..held("bailey-hub-token")
    };
    let unfilled = TokenSecret {
        token: None,
        ..first.clone()
    };
    let by_hand = Held {
        user: "bailey".to_owned(),
        token: "x".to_owned(),
        ..Held::default()
    };
    let first = [first];
    let plans = [
        planned(&[], &nothing, KEEP, 1),
        planned(&first, &held("bailey-hub-token"), KEEP, 1),
        // Applied from a repository; or the Secret was recreated, and the token is another.
        planned(&first, &nothing, KEEP, 1),
        planned(&[unfilled], &nothing, KEEP, 1),
        planned(&first, &of_another, KEEP, 1),
        planned(&first, &by_hand, KEEP, 1),
        // The member has lost it.
        planned(&[], &held("bailey-hub-token-3"), KEEP, 1),
    ];
    expect_test::expect![[r#"
        bailey-hub-token Make revoke [] spare []
        bailey-hub-token Held revoke [] spare []
        bailey-hub-token Adopt revoke [] spare []
        bailey-hub-token Adopt revoke [] spare []
        bailey-hub-token Adopt revoke [] spare []
        bailey-hub-token Adopt revoke [] spare []
        bailey-hub-token Make revoke [] spare []"#]]
    .assert_eq(&plans.join("\n"));
}

#[test]
fn a_former_token_is_revoked_once_the_hub_has_the_new_one() {
    let (one, two) = (lasting("bailey-hub-token", 0), lasting("bailey-hub-token-2", 100));
    let three = lasting("bailey-hub-token-3", 105);
    let plans = [
        planned(std::slice::from_ref(&one), &held("bailey-hub-token"), ROTATE, 100),
        planned(&[one.clone(), two.clone()], &held("bailey-hub-token-2"), KEEP, 109),
        planned(&[one.clone(), two.clone()], &held("bailey-hub-token-2"), KEEP, 110),
        // Twice in a row: the hub may still be at the first.
        planned(&[one.clone(), two.clone()], &held("bailey-hub-token-2"), ROTATE, 105),
        planned(&[one, two, three], &held("bailey-hub-token-3"), KEEP, 120),
    ];
    expect_test::expect![[r#"
        bailey-hub-token-2 Make revoke [] spare ["bailey-hub-token until 110"]
        bailey-hub-token-2 Held revoke [] spare ["bailey-hub-token until 110"]
        bailey-hub-token-2 Held revoke ["bailey-hub-token"] spare []
        bailey-hub-token-3 Make revoke [] spare ["bailey-hub-token until 115", "bailey-hub-token-2 until 115"]
        bailey-hub-token-3 Held revoke ["bailey-hub-token", "bailey-hub-token-2"] spare []"#]]
    .assert_eq(&plans.join("\n"));
}

#[test]
fn a_token_that_ends_is_renewed_in_the_second_half_of_its_life() {
    let secret = [bound("bailey-hub-token", 0)];
    let held = Held {
        token: jwt(0, 60),
        ..held("bailey-hub-token")
    };
    let plans = [
        planned(&secret, &held, HOUR, 29),
        planned(&secret, &held, HOUR, 30),
        // Nobody knows its token any more.
        planned(&secret, &Held::default(), HOUR, 1),
        // Another kind is wanted.
        planned(&secret, &held, KEEP, 1),
    ];
    expect_test::expect![[r#"
        bailey-hub-token Held revoke [] spare []
        bailey-hub-token-2 Make revoke [] spare ["bailey-hub-token until 40"]
        bailey-hub-token-2 Make revoke [] spare ["bailey-hub-token until 11"]
        bailey-hub-token-2 Make revoke [] spare ["bailey-hub-token until 11"]"#]]
    .assert_eq(&plans.join("\n"));
}

#[test]
fn what_is_no_token_says_nothing_of_its_end() {
    for text in ["", "a.b", "a..c", "a.!.c", "a.e30.c"] {
        assert_eq!(Validity::of(text), None, "{text}");
    }
}
