//! What can be wrong with the cookie that an administrator describes.

/// Why a cookie cannot be configured so; each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The name is no token.
    #[error("the cookie name must be 1 to 64 letters, digits or any of !#$%&'*+-.^_`|~, such as SCID")]
    Name,
    /// The name carries a prefix already.
    #[error("leave the prefix off the cookie name: __Host- or __Secure- is added on https by itself")]
    Prefixed,
    /// The path is none.
    #[error("{0:?} is no cookie path: begin with /, without ; , or space, such as Path=/app")]
    Path(String),
    /// The domain is none.
    #[error("{0:?} is no cookie domain: write a bare host name, such as Domain=example.com")]
    Domain(String),
    /// Not a SameSite keyword.
    #[error("{0:?} is not known to browsers: write SameSite=Strict, SameSite=Lax or SameSite=None")]
    SameSite(String),
    /// `SameSite=None` alone.
    #[error("browsers refuse SameSite=None without Secure: write both, or SameSite=Lax")]
    NoneNeedsSecure,
    /// `HttpOnly` is not for choice.
    #[error("HttpOnly is always set: leave it out")]
    HttpOnly,
    /// The server ends sessions, not the cookie.
    #[error("the server ends sessions, not the cookie: use SessionClusterLifetime instead")]
    Age,
    /// The route is none.
    #[error("{0:?} is no route: write 1 to 32 letters, digits, - or _, such as Route=web1")]
    Route(String),
    /// An attribute twice.
    #[error("{0:?} sets an attribute that was set already: write each once")]
    Twice(String),
    /// Not an attribute.
    #[error(
        "{0:?} is no cookie attribute: write Path=/..., Domain=..., SameSite=Strict|Lax|None, Secure or Route=..."
    )]
    Unknown(String),
}
