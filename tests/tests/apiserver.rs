//! The embedded API server answers as the real one does.
//!
//! One script of requests runs against each; its transcript must be the same text, `apiserver/transcript.txt`. What
//! differs by nature is made equal first: UIDs and resourceVersions become numbered names in the order of their
//! appearance, times become `now`, and of a pod only what a policy can see is shown. To change the file, run the real
//! server's test with `UPDATE_EXPECT=1` and read what it wrote; the embedded one then has to follow.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod apiserver {
    mod feed;
    mod kubectl;
    pub mod script;
    pub mod transcript;
}

use apiserver::{script, transcript::Transcript};
use expect_test::expect_file;
use tests::apiserver::{ApiServer, Kind, Site};

async fn transcript(kind: Kind) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start(kind, Site::loopback("a", dir.path().to_owned()))
        .await
        .unwrap();
    let mut transcript = Transcript::new(server.client().await.unwrap());
    script::run(&mut server, &mut transcript).await;
    transcript.into_text()
}

#[tokio::test]
async fn the_embedded_server_answers_as_written() {
    expect_file!["apiserver/transcript.txt"].assert_eq(&transcript(Kind::Embedded).await);
}

#[tokio::test]
async fn the_real_server_answers_as_written() {
    expect_file!["apiserver/transcript.txt"].assert_eq(&transcript(Kind::Real).await);
}
