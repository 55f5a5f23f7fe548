//! Link-local nameservers: the scope of an address over both transports.

use super::*;

#[tokio::test]
async fn a_scope_is_kept_over_udp_and_tcp() {
    let loopback: NameserverAddress = "[fe80::53%lo]:5353".parse().expect("an address");
    assert_eq!(super::super::exchange::socket_address(&loopback).to_string(), "[fe80::53%1]:5353");
    let numbered: NameserverAddress = "fe80::53%7".parse().expect("an address");
    assert_eq!(super::super::exchange::socket_address(&numbered).to_string(), "[fe80::53%7]:53");
    for tcp_only in [false, true] {
        let udp = UdpSocket::bind("[::1]:0").await.expect("a socket");
        let port = udp.local_addr().expect("it is bound").port();
        let Ok(tcp) = TcpListener::bind(("::1", port)).await else { continue };
        let address = format!("[::1%lo]:{port}").parse().expect("an address");
        let nameserver = Nameserver { resolver: Resolver::System, address, tcp_only };
        let answered = |question: &Message| {
            let mut message = Message::response(question.metadata.id, OpCode::Query);
            message.metadata.recursion_available = true;
            message.add_queries(question.queries.clone());
            message.add_answers([address_of(question)]);
            message.to_vec().expect("a message")
        };
        let answering = async {
            let mut buffer = [0; 512];
            loop {
                tokio::select! {
                    received = udp.recv_from(&mut buffer) => {
                        let (length, peer) = received.expect("a datagram");
                        let question = Message::from_vec(&buffer[..length]).expect("a question");
                        udp.send_to(&answered(&question), peer).await.expect("a client");
                    }
                    accepted = tcp.accept() => {
                        let (mut stream, _) = accepted.expect("a connection");
                        let bytes = answered(&read_question(&mut stream).await);
                        stream.write_u16(u16::try_from(bytes.len()).expect("short")).await.expect("a client");
                        stream.write_all(&bytes).await.expect("a client");
                    }
                }
            }
        };
        let resolution = asked(&nameserver, Duration::from_secs(5), answering).await;
        assert_eq!(resolution.addresses().len(), 2, "{resolution:?}");
        assert_eq!(resolution.server.to_string(), format!("[::1%lo]:{port}"));
    }
}

fn address_of(question: &Message) -> Record {
    let is_v4 = question.queries[0].query_type() == RecordType::A;
    address(&hop(0), v4(if is_v4 { "10.60.4.4" } else { "fd00::4" }))
}
