//! What is wrong with a server's certificate, in words.

use rustls::CertificateError;

/// What is wrong with a handshake, in words.
pub(crate) fn words(error: &rustls::Error, host: &str) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => {
            let what = match problem {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "has expired; whoever runs the server renews it".into()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "is not valid yet; look at the clocks of both machines".into()
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    format!("is not for {host}; connect by a name that it has")
                }
                CertificateError::UnknownIssuer => {
                    "is of an authority that is not trusted here; set sslrootcert to that authority's certificate".into()
                }
                CertificateError::Revoked => "has been revoked".into(),
                _ => "does not prove who it is".to_owned(),
            };
            format!("its certificate {what}")
        }
        rustls::Error::AlertReceived(alert) => format!("it ended the TLS handshake ({})", alert.as_str().unwrap_or("no reason")),
        _ => "the TLS handshake did not come about".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_refused_says_why() {
        let said = |error: CertificateError| words(&rustls::Error::InvalidCertificate(error), "db.example");
        assert_eq!(said(CertificateError::Expired), "its certificate has expired; whoever runs the server renews it");
        assert_eq!(said(CertificateError::NotValidYet), "its certificate is not valid yet; look at the clocks of both machines");
        assert!(said(CertificateError::NotValidForName).contains("is not for db.example; connect by a name that it has"));
        assert!(said(CertificateError::UnknownIssuer).contains("set sslrootcert"));
    }
}
