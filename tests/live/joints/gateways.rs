//! Servers behind httpd of the protocols that share CGI's way to read headers, FastCGI, SCGI and uwsgi, and of HTTP.
//! Each says the same to everybody, and then all that it was told.

use harness::free_port;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

/// Starts one of whatever protocol, and returns its port. It ends with the test.
pub(super) fn gateway(says: &'static str) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            answer(&mut stream, says);
        }
    });
    port
}

/// Tells FastCGI by its first byte: SCGI begins with a digit, uwsgi with 0, HTTP with a letter.
fn answer(stream: &mut TcpStream, says: &str) {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    while let Ok(length @ 1..) = stream.read(&mut part) {
        request.extend_from_slice(&part[..length]);
        let input_ends = [1, 5, 0, 1, 0, 0];
        if request[0] == 1 && request.windows(6).any(|six| six == input_ends) {
            break;
        }
    }
    let mut reply = [says.as_bytes(), &request].concat();
    if request.first() == Some(&1) {
        let length = u16::try_from(reply.len()).unwrap().to_be_bytes();
        reply = [&[1, 6, 0, 1, length[0], length[1], 0, 0], reply.as_slice()].concat();
        reply.extend([1, 6, 0, 1, 0, 0, 0, 0, 1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    // A client that is gone has seen enough.
    let _ = stream.write_all(&reply);
}
