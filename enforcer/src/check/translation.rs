//! Whether packets arrive with the addresses that they were sent with: one node answers, another asks.
//!
//! Shell around a pure core: what is sent and seen → [`Report`]. Where addresses are translated between clusters a pod
//! arrives as its node, and no selector matches it (K11). An answer is never longer than its question, goes to whoever asked
//! alone, and says nothing that the asker does not know but for how it looks from here.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// How a question and an answer begin, with the version of their form.
const GREETING: &str = "bailey check 1 ";

/// The length of a question by UDP; an answer is shorter.
const QUESTION_BYTES: usize = 128;

/// How long an answer may take, by TCP or by each attempt by UDP.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a question is sent by UDP.
const ATTEMPTS: usize = 3;

/// How a packet is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// What became of a question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Outcome {
    /// How it was carried.
    pub transport: Transport,
    /// The address that it was sent from.
    pub sent_from: Option<IpAddr>,
    /// The address that it arrived from; none: it was not answered.
    pub arrived_from: Option<IpAddr>,
    /// Why it was not answered.
    pub failure: Option<String>,
}

/// What became of all questions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Whom they went to.
    pub to: SocketAddr,
    /// Each.
    pub outcomes: Vec<Outcome>,
}

impl Outcome {
    fn is_as_sent(&self) -> bool {
        self.sent_from.is_some() && self.sent_from == self.arrived_from
    }
}

impl Report {
    /// Whether all were answered and arrived as they were sent.
    pub fn is_as_sent(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_as_sent)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("Probes to {}", self.to)];
        let mut translated = None;
        for outcome in &self.outcomes {
            let transport = outcome.transport;
            lines.push(match (outcome.sent_from, outcome.arrived_from, &outcome.failure) {
                (Some(sent), Some(arrived), _) if sent == arrived => {
                    format!("  {transport}  sent from {sent}, arrived from {arrived}: as sent")
                }
                (Some(sent), Some(arrived), _) => {
                    translated = Some((sent, arrived));
                    format!("  {transport}  sent from {sent}, arrived from {arrived}: translated")
                }
                (_, _, failure) => {
                    let failure = failure.as_deref().unwrap_or("it was not sent");
                    format!("  {transport}  no answer: {failure}")
                }
            });
        }
        if let Some((sent, arrived)) = translated {
            lines.push(format!(
                "Addresses are translated on the way: the other side takes {sent} for {arrived}, and no selector of its policies \
                 matches what this side sends. Look for masquerading on the node of {sent} (ip-masq-agent's nonMasqueradeCIDRs, \
                 ipMasq of the CNI plugin, a cloud's SNAT): the pod ranges of all clusters must be excepted from it."
            ));
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and addresses are JSON")
    }
}

fn answer(seen: SocketAddr) -> String {
    format!("{GREETING}{}\n", seen.ip().to_canonical())
}

/// The address in an answer.
fn read_answer(bytes: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(bytes).ok()?;
    text.strip_prefix(GREETING)?.trim_end().parse().ok()
}

fn question() -> [u8; QUESTION_BYTES] {
    let mut bytes = [b' '; QUESTION_BYTES];
    bytes[..GREETING.len()].copy_from_slice(GREETING.as_bytes());
    bytes
}

fn is_question(bytes: &[u8]) -> bool {
    bytes.len() == QUESTION_BYTES && bytes.starts_with(GREETING.as_bytes())
}

/// Answers probes until it is told to stop.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> Result<()> {
    let door = Door::open(address).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let address = door.tcp.local_addr()?;
    println!(
        "Answers probes at {address}, by TCP and UDP, until it is stopped. Elsewhere: enforcer check --probe ADDRESS:{}",
        address.port()
    );
    tokio::select! {
        () = door.answer() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}

/// Where probes arrive.
struct Door {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl Door {
    /// Listens; a port of 0 is any.
    async fn open(address: SocketAddr) -> Result<Self> {
        let tcp = TcpListener::bind(address).await;
        let tcp = tcp.with_context(|| format!("--listen {address}: TCP"))?;
        let udp = UdpSocket::bind(tcp.local_addr()?).await;
        let udp = udp.with_context(|| format!("--listen {address}: UDP"))?;
        Ok(Self { tcp, udp })
    }

    async fn answer(&self) {
        let mut buffer = [0; QUESTION_BYTES + 1];
        loop {
            tokio::select! {
                accepted = self.tcp.accept() => {
                    let Ok((mut stream, from)) = accepted else { continue };
                    println!("TCP from {}", from.ip().to_canonical());
                    // Who asks and then does not listen has waited for nothing.
                    let _unheard = timeout(PATIENCE, stream.write_all(answer(from).as_bytes())).await;
                }
                received = self.udp.recv_from(&mut buffer) => {
                    let Ok((length, from)) = received else { continue };
                    if is_question(&buffer[..length]) {
                        println!("UDP from {}", from.ip().to_canonical());
                        let _unheard = self.udp.send_to(answer(from).as_bytes(), from).await;
                    }
                }
            }
        }
    }
}

/// Asks who listens at an address, by TCP and by UDP.
///
/// # Errors
/// If neither is answered.
pub async fn probe(to: SocketAddr) -> Result<Report> {
    let outcomes = vec![
        outcome(Transport::Tcp, ask_tcp(to).await),
        outcome(Transport::Udp, ask_udp(to).await),
    ];
    if let [tcp, udp] = outcomes.as_slice()
        && let (Some(tcp), Some(udp)) = (&tcp.failure, &udp.failure)
    {
        bail!(
            "--probe {to}: nobody answers, neither by TCP ({tcp}) nor by UDP ({udp}): start enforcer check --listen there, and let \
             policies and firewalls admit both"
        );
    }
    Ok(Report { to, outcomes })
}

fn outcome(transport: Transport, asked: Result<(IpAddr, IpAddr)>) -> Outcome {
    let (addresses, failure) = match asked {
        Ok(addresses) => (Some(addresses), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    Outcome {
        transport,
        sent_from: addresses.map(|(sent, _)| sent),
        arrived_from: addresses.map(|(_, arrived)| arrived),
        failure,
    }
}

async fn ask_tcp(to: SocketAddr) -> Result<(IpAddr, IpAddr)> {
    let connected = timeout(PATIENCE, TcpStream::connect(to)).await;
    let mut stream = connected.context("no answer in time")??;
    let from = stream.local_addr()?.ip();
    let mut text = Vec::new();
    let mut some = (&mut stream).take(QUESTION_BYTES as u64);
    timeout(PATIENCE, some.read_to_end(&mut text))
        .await
        .context("no answer in time")??;
    Ok((
        from,
        read_answer(&text).context("something else than enforcer check answers")?,
    ))
}

async fn ask_udp(to: SocketAddr) -> Result<(IpAddr, IpAddr)> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    let from = socket.local_addr()?.ip();
    let mut buffer = [0; QUESTION_BYTES];
    for _ in 0..ATTEMPTS {
        socket.send(&question()).await?;
        if let Ok(length) = timeout(PATIENCE, socket.recv(&mut buffer)).await {
            let seen = read_answer(&buffer[..length?]);
            return Ok((from, seen.context("something else than enforcer check answers")?));
        }
    }
    bail!("no answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_question_is_answered_with_less_than_it_is_long_and_nothing_else_is() {
        let longest: SocketAddr = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        assert!(answer(longest).len() < QUESTION_BYTES);
        assert_eq!(read_answer(answer(longest).as_bytes()), Some(longest.ip()));
        // What arrives by IPv4 at a socket of both families.
        let mapped: SocketAddr = "[::ffff:10.1.2.3]:1".parse().unwrap();
        assert_eq!(read_answer(answer(mapped).as_bytes()), Some([10, 1, 2, 3].into()));
        assert!(is_question(&question()));
        for other in [&b""[..], GREETING.as_bytes(), &question()[..127], &[0; QUESTION_BYTES]] {
            assert!(!is_question(other));
        }
        assert_eq!(read_answer(b"HTTP/1.1 400 Bad Request"), None);
    }

    fn report(arrived: [Option<&str>; 2]) -> Report {
        let outcome = |(transport, arrived): (Transport, Option<&str>)| Outcome {
            transport,
            sent_from: arrived.map(|_| [10, 1, 1, 3].into()),
            arrived_from: arrived.map(|address| address.parse().unwrap()),
            failure: arrived.is_none().then(|| "no answer in time".to_owned()),
        };
        Report {
            to: "10.2.1.4:7444".parse().unwrap(),
            outcomes: [Transport::Tcp, Transport::Udp]
                .into_iter()
                .zip(arrived)
                .map(outcome)
                .collect(),
        }
    }

    #[test]
    fn what_arrives_as_it_was_sent_is_told_from_what_does_not() {
        let good = report([Some("10.1.1.3"), Some("10.1.1.3")]);
        assert!(good.is_as_sent());
        expect![[r#"
            Probes to 10.2.1.4:7444
              TCP  sent from 10.1.1.3, arrived from 10.1.1.3: as sent
              UDP  sent from 10.1.1.3, arrived from 10.1.1.3: as sent"#]]
        .assert_eq(&good.text());
        let bad = report([Some("192.0.2.7"), None]);
        assert!(!bad.is_as_sent());
        expect![[r#"
            Probes to 10.2.1.4:7444
              TCP  sent from 10.1.1.3, arrived from 192.0.2.7: translated
              UDP  no answer: no answer in time
            Addresses are translated on the way: the other side takes 10.1.1.3 for 192.0.2.7, and no selector of its policies matches what this side sends. Look for masquerading on the node of 10.1.1.3 (ip-masq-agent's nonMasqueradeCIDRs, ipMasq of the CNI plugin, a cloud's SNAT): the pod ranges of all clusters must be excepted from it."#]].assert_eq(&bad.text());
        assert!(!report([Some("10.1.1.3"), None]).is_as_sent());
    }

    #[tokio::test]
    async fn both_transports_are_asked_and_answered() {
        let door = Door::open("[::1]:0".parse().unwrap()).await.unwrap();
        let address = door.tcp.local_addr().unwrap();
        let report = tokio::select! {
            () = door.answer() => unreachable!("it answers for ever"),
            report = probe(address) => report.unwrap(),
        };
        let here = Some(address.ip());
        let outcome = |transport| Outcome {
            transport,
            sent_from: here,
            arrived_from: here,
            failure: None,
        };
        let outcomes = [Transport::Tcp, Transport::Udp].map(outcome).into();
        assert_eq!(report, Report { to: address, outcomes });
        drop(door);
        let error = probe(address).await.unwrap_err().to_string();
        assert!(error.contains("nobody answers, neither by TCP ("), "{error}");
    }
}
