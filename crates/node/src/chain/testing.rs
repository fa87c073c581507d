//! A chain node for tests: answers JSON-RPC on loopback from a closure.

use super::Client;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

pub(crate) struct ChainNode {
    address: SocketAddr,
}

type Answer = Result<Value, (i64, &'static str)>;

impl ChainNode {
    /// Listens until the process ends.
    pub(crate) fn start(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = std::sync::Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream, &*answer));
            }
        });
        Self { address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url()).unwrap()
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str, &Value) -> Answer) {
    let mut bytes = Vec::new();
    loop {
        let Some((head, length)) = request_length(&bytes) else {
            let mut chunk = [0u8; 65536];
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => return,
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
            }
            continue;
        };
        let request: Value = serde_json::from_slice(&bytes[head..head + length]).unwrap();
        bytes.drain(..head + length);
        let body = match answer(request["method"].as_str().unwrap(), &request["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
            Err((code, message)) => json!({ "jsonrpc": "2.0", "id": request["id"],
                "error": { "code": code, "message": message } }),
        }
        .to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }
}

/// Where the body begins and its length, once all of it is there.
fn request_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let length = text.lines().find_map(|l| l.strip_prefix("content-length: "))?.parse().ok()?;
    (bytes.len() >= head + length).then_some((head, length))
}
