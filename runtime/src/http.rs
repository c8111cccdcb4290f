//! `/metrics`, `/status` and `/healthz`: the one place of axum. It reads; nothing can be commanded here.

use std::net::SocketAddr;
use std::sync::Arc;

use actors::Board;
use actors::kernel::{Clock, Telemetry};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::metrics::{Exporter, Sources};
use crate::opcua::LinkCounts;
use crate::report::Status;

/// What the pages show.
#[derive(Debug)]
pub struct Pages {
    /// The metrics.
    pub exporter: Exporter,
    /// The loop's slots.
    pub board: Board,
    /// The loop's counters.
    pub telemetry: Telemetry,
    /// The link's counters.
    pub link: LinkCounts,
    /// Names of the measured tags.
    pub tags: Vec<String>,
    /// The loop's clock.
    pub clock: Clock,
}

/// Serves the pages at `address` until dropped. Gives the address in use (a port of 0 lets the system choose) and the
/// server to run.
///
/// # Errors
/// When the address cannot be listened at.
pub async fn serve(
    address: SocketAddr,
    pages: Pages,
) -> std::io::Result<(SocketAddr, impl Future<Output = std::io::Result<()>> + Send)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/healthz", get(healthz))
        .with_state(Arc::new(pages));
    Ok((bound, async move { axum::serve(listener, router).await }))
}

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    let sources = Sources {
        board: &pages.board,
        telemetry: &pages.telemetry,
        link: &pages.link,
        tags: &pages.tags,
        now: pages.clock.now(),
    };
    match pages.exporter.render(&sources) {
        Ok(text) => ([("content-type", "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(pages): State<Arc<Pages>>) -> Json<Status> {
    Json(Status::read(&pages.board, &pages.telemetry))
}

/// Healthy means that the loop cycles and reaches the DCS; not that it is in closed loop.
async fn healthz(State(pages): State<Arc<Pages>>) -> Response {
    if pages.telemetry.cycles() > 0 && pages.board.inlet.link_up() {
        "ok\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no cycles yet, or no link to the DCS\n").into_response()
    }
}
