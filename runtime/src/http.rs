//! `/metrics`, `/status` and `/healthz`: the one place of axum. It reads; nothing can be commanded here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::Board;
use actors::board::Beat;
use actors::kernel::{Clock, Telemetry};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use signals::Stamp;
use tokio::net::TcpListener;

use crate::advice::{AdviceReport, AuditStatus};
use crate::journal::JournalStatus;
use crate::metrics::{Exporter, Sources};
use crate::opcua::LinkCounts;
use crate::report::{Footing, Status};
use crate::state::KeeperStatus;

/// What the pages show.
#[derive(Debug)]
pub struct Pages {
    /// The metrics.
    pub exporter: Exporter,
    /// The loop's slots.
    pub board: Board,
    /// The loop's counters.
    pub telemetry: Telemetry,
    /// The journal, where there is one.
    pub journal: Option<JournalStatus>,
    /// What is known of the loop's state over restarts.
    pub keeper: KeeperStatus,
    /// The link's counters.
    pub link: LinkCounts,
    /// The audit.
    pub audit: AuditStatus,
    /// Names of the transmitters ([`crate::metrics::transmitter_names`]).
    pub tags: Vec<String>,
    /// Names of the MVs.
    pub mv_tags: Vec<String>,
    /// The loop's clock.
    pub clock: Clock,
    /// The control period T.
    pub period: Duration,
    /// What the machine granted.
    pub footing: Footing,
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
    let status = Status::read(&pages.board, &pages.telemetry, pages.footing.clone());
    let advice = AdviceReport::read(&pages.board, &pages.mv_tags);
    let status = status.with_journal(pages.journal.as_ref()).with_state(&pages.keeper);
    Json(status.with_advice(advice, pages.audit.told()))
}

async fn healthz(State(pages): State<Arc<Pages>>) -> Response {
    let (beat, link_up) = (pages.board.beat.read(), pages.board.inlet.link_up());
    let health = health(beat, pages.clock.now(), pages.period, link_up);
    let code = if health == Health::Well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, health.words()).into_response()
}

/// Whether the loop cycles and reaches the DCS; not whether it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Well,
    NoCycle,
    Stalled,
    LinkDown,
}

impl Health {
    fn words(self) -> &'static str {
        match self {
            Self::Well => "ok\n",
            Self::NoCycle => "no cycle yet\n",
            Self::Stalled => "no new cycle for two control periods\n",
            Self::LinkDown => "no link to the DCS\n",
        }
    }
}

/// Judges the newest beat of the pacer: the cycle that it belongs to was opened less than two periods ago, or the loop
/// stands.
fn health(beat: Option<Beat>, now: Stamp, period: Duration, link_up: bool) -> Health {
    match beat {
        None => Health::NoCycle,
        Some(beat) if now.since(beat.at) >= 2 * period => Health::Stalled,
        Some(_) if !link_up => Health::LinkDown,
        Some(_) => Health::Well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(18);

    fn at(seconds: f64) -> Stamp {
        Stamp::from_secs_f64(seconds)
    }

    fn beat(seconds: f64) -> Option<Beat> {
        Some(Beat { cycle: 3, scan: 7, at: at(seconds), wall_ns: 0 })
    }

    #[test]
    fn a_loop_that_cycles_and_reaches_the_dcs_is_well() {
        assert_eq!(health(beat(100.0), at(100.0), PERIOD, true), Health::Well);
        assert_eq!(health(beat(100.0), at(135.9), PERIOD, true), Health::Well);
    }

    #[test]
    fn no_cycle_yet_an_old_beat_and_a_link_that_is_down_are_not() {
        assert_eq!(health(None, at(0.0), PERIOD, true), Health::NoCycle);
        assert_eq!(health(beat(100.0), at(136.0), PERIOD, true), Health::Stalled);
        assert_eq!(health(beat(100.0), at(1e6), PERIOD, true), Health::Stalled);
        assert_eq!(health(beat(100.0), at(100.0), PERIOD, false), Health::LinkDown);
    }

    /// The page itself: what the judgement says is what an orchestrator gets to see.
    #[tokio::test]
    async fn the_page_answers_200_only_while_the_loop_is_well() {
        let registry = prometheus::Registry::new();
        let board = Board::new(1);
        let pages = Arc::new(Pages {
            exporter: Exporter::register(registry.clone()).unwrap(),
            board: board.clone(),
            telemetry: Telemetry::new(Box::new(crate::metrics::StageLatencies::register(&registry).unwrap())),
            link: LinkCounts::default(),
            journal: None,
            keeper: KeeperStatus::default(),
            audit: AuditStatus::default(),
            tags: vec!["AI101".to_owned()],
            mv_tags: vec!["FC101".to_owned()],
            clock: Clock::wall(1.0),
            period: Duration::from_secs(3600),
            footing: Footing::default(),
        });
        let ask = async || healthz(State(Arc::clone(&pages))).await.status();
        board.inlet.set_link(true);
        assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE, "no cycle");
        board.beat.put(Beat { at: pages.clock.now(), cycle: 1, ..Beat::default() });
        assert_eq!(ask().await, StatusCode::OK);
        board.beat.put(Beat { at: at(-7200.0), cycle: 1, ..Beat::default() });
        assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE, "an old beat");
        board.beat.put(Beat { at: pages.clock.now(), cycle: 1, ..Beat::default() });
        board.inlet.set_link(false);
        assert_eq!(ask().await, StatusCode::SERVICE_UNAVAILABLE, "link down");
    }
}
