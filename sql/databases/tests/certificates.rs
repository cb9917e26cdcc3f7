//! Certificates of an authority that a test makes.

use std::path::Path;
use std::process::Command;

/// Certificates of an authority of the test's own, if there is an openssl: for `localhost`, for the same that has expired, and of another
/// authority.
pub(crate) fn make_certificates(folder: &Path) -> bool {
    let script = "\
set -e
cd \"$0\"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=test-authority
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=localhost
printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' >ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out expired.crt -days 0 -extfile ext
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.crt -days 2 -subj /CN=other-authority
";
    Command::new("bash").args(["-c", script]).arg(folder).output().is_ok_and(|made| made.status.success())
}
