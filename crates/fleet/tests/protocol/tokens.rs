//! Tokens: where they may be, which of them counts, and what is refused.

use gateway::{JwtKey, Limits};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{Client, FAR, Single, fleet, name, refused_upgrade, signed, token};

/// Made for this test with `openssl genpkey -algorithm ed25519`.
const ED25519: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIHMrsP94EUl+ECikmR0p6VrItLqDXEbb2X/qST6yVcDw
-----END PRIVATE KEY-----
";
const ED25519_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAsSwqFAZmNOGNDb8NRqvufgbZTD0WkuZvhyb5a1GPlXQ=
-----END PUBLIC KEY-----
";

/// Tokens that no gateway may take.
fn bad_tokens() -> Vec<(&'static str, String)> {
    let claims = json!({"sub": "mallory", "exp": FAR});
    let forged = |alg, secret: &[u8]| encode(&Header::new(alg), &claims, &EncodingKey::from_secret(secret)).unwrap();
    let secret = fleet().secrets.jwt_secret.as_bytes();
    let good = token("mallory");
    let parts: Vec<&str> = good.split('.').collect();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    vec![
        ("expired", signed(&json!({"sub": "mallory", "exp": 1_000_000_000}))),
        ("forged", forged(Algorithm::HS256, b"a guess")),
        ("alg none", format!("{none}.{}.", parts[1])),
        ("alg none with the signature", format!("{none}.{}.{}", parts[1], parts[2])),
        ("alg HS512", forged(Algorithm::HS512, secret)),
        ("another payload", format!("{}.eyJzdWIiOiJyb290IiwiZXhwIjo0MDAwMDAwMDAwfQ.{}", parts[0], parts[2])),
        ("no exp", signed(&json!({"sub": "mallory"}))),
        ("no sub", signed(&json!({"exp": FAR}))),
        ("a strange sub", signed(&json!({"sub": "a b", "exp": FAR}))),
        ("a strange role", signed(&json!({"sub": "mallory", "exp": FAR, "role": "root"}))),
        ("garbage", "garbage".into()),
        ("empty", String::new()),
    ]
}

#[tokio::test]
async fn bad_tokens_are_refused_everywhere() {
    let to = fleet().gateways[0].address;
    for (what, token) in bad_tokens() {
        let in_header = refused_upgrade(to, "", &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!((in_header.status, in_header.code().as_str()), (401, "unauthorized"), "{what}");
        let in_query = refused_upgrade(to, &format!("?token={token}"), &[]).await;
        assert_eq!((in_query.status, in_query.code().as_str()), (401, "unauthorized"), "{what}");
        for (in_answer, why) in [(&in_header, "header"), (&in_query, "query")] {
            assert!(token.len() < 20 || !in_answer.text.contains(&token), "{what}: the {why} token comes back");
        }
        let mut in_hello = Client::upgrade(0, "", &[]).await;
        in_hello.say(json!({"type": "hello", "device": "d", "token": token})).await;
        assert_eq!(in_hello.closed().await, 4003, "{what}");
    }
    let mut nowhere = Client::upgrade(0, "", &[]).await;
    nowhere.say(json!({"type": "hello", "device": "d"})).await;
    assert_eq!(nowhere.closed().await, 4003);
    let basic = refused_upgrade(to, "", &[("authorization", "Basic YTpi")]).await;
    assert_eq!(basic.status, 401);
}

#[tokio::test]
async fn the_first_place_counts() {
    let [header, query, hello] = ["h", "q", "f"].map(name);
    let bearer = format!("Bearer {}", token(&header));
    let in_query = format!("?token={}", token(&query));
    let all = [
        (in_query.as_str(), vec![("authorization", bearer.as_str())], &header),
        (&in_query, vec![], &query),
        ("", vec![], &hello),
    ];
    for (query, headers, expected) in all {
        let mut client = Client::upgrade(0, query, &headers).await;
        client.say(json!({"type": "hello", "device": "d", "token": token(&hello)})).await;
        assert_eq!(client.next().await["user"], expected.as_str());
    }
    // A good token in a later place does not mend a bad one.
    let to = fleet().gateways[0].address;
    let refused = refused_upgrade(to, &in_query, &[("authorization", "Bearer nonsense")]).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn a_gateway_with_a_public_key_takes_eddsa_alone() {
    let key = JwtKey::EdDsa(ED25519_PUBLIC.as_bytes().to_vec());
    let single = Single::start(backends::Clock::System, Some(key), Limits::default()).await;
    let to = single.serve().await;
    let claims = json!({"sub": "alice", "exp": FAR});
    let signing = EncodingKey::from_ed_pem(ED25519.as_bytes()).unwrap();
    let good = encode(&Header::new(Algorithm::EdDSA), &claims, &signing).unwrap();
    let mut client = Client::upgrade_on(TcpStream::connect(to).await.unwrap(), &format!("?token={good}"), &[]).await;
    client.say(json!({"type": "hello", "device": "d"})).await;
    assert_eq!(client.next().await["user"], "alice");

    // The public key is no secret: a token signed with it as one is forged.
    let confused = EncodingKey::from_secret(ED25519_PUBLIC.as_bytes());
    let confused = encode(&Header::new(Algorithm::HS256), &claims, &confused).unwrap();
    let tampered = format!("{}x", &good[..good.len() - 1]);
    let expired = encode(&Header::new(Algorithm::EdDSA), &json!({"sub": "alice", "exp": 1}), &signing).unwrap();
    for token in [confused, tampered, expired] {
        assert_eq!(refused_upgrade(to, &format!("?token={token}"), &[]).await.status, 401);
    }
    single.gateway.shutdown().await;
}
