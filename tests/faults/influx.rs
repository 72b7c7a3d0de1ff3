//! The pipeline with its store on a real InfluxDB, behind a network that fails.

use testkit::influxd::{Influxd, ORG};
use testkit::proxy::{Network, Proxy};
use tokio::runtime::Runtime;

use crate::scene::{Outcome, Play};
use crate::schedule::{Fault, Progress, Stage, Step};

/// A server with a bucket for the market, and the proxy before it.
struct Behind {
    // Drives the proxy.
    runtime: Runtime,
    server: Influxd,
    proxy: Proxy,
    play: Play,
    buckets: usize,
}

impl Behind {
    /// None where there is no server on this machine, which is then said.
    fn start(market: u64) -> Option<Behind> {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Influxd::start())?;
        let proxy = runtime.block_on(Proxy::before(server.url.trim_start_matches("http://")));
        let mut play = Play::of(market);
        play.set("TICKWIRE_STORE", "influxdb");
        play.set("TICKWIRE_INFLUXDB__URL", format!("http://{}", proxy.address));
        play.set("TICKWIRE_INFLUXDB__ORG", ORG);
        play.set("TICKWIRE_INFLUXDB__TOKEN", server.token.clone());
        Some(Behind { runtime, server, proxy, play, buckets: 0 })
    }

    /// From now on the store is empty.
    fn use_a_fresh_bucket(&mut self) {
        self.buckets += 1;
        let bucket = format!("events{}", self.buckets);
        let of_the_run = format!("{bucket}_{}", self.play.run.replace('/', "_"));
        self.runtime.block_on(self.server.make_bucket(&of_the_run, None));
        self.play.set("TICKWIRE_INFLUXDB__BUCKET", bucket);
    }

    /// Plays the market; when the sink has committed a share of the prices, `fault`
    /// comes, and goes once the log has everything; then the process is killed.
    fn under(&mut self, shares: &[f64], fault: impl Fn(&Behind), over: impl Fn(&Behind)) -> Outcome {
        self.use_a_fresh_bucket();
        let stage = |share: &f64| Stage { of: Progress::Committed, topic: "stock-prices", share: *share };
        let steps: Vec<Step> =
            shares.iter().map(|share| Step { stage: stage(share), fault: Fault::Outside }).collect();
        let behind: &Behind = self;
        behind.play.under_outside(&steps, &|| fault(behind), &|| over(behind))
    }

    fn survives(&mut self, network: Network) {
        let fault = |behind: &Behind| behind.proxy.becomes(network);
        let over = |behind: &Behind| behind.proxy.becomes(Network::Well);
        let outcome = self.under(&[0.0, 0.5], fault, over);
        assert!(outcome.account.is_right(), "{network:?}:\n{}", outcome.account);
    }
}

#[test]
fn an_influxdb_that_is_busy_hangs_is_slow_cut_off_or_killed_loses_nothing() {
    let Some(mut behind) = Behind::start(1) else { return };
    behind.survives(Network::Answers(503, None));
    behind.survives(Network::Answers(429, Some(1)));
    behind.survives(Network::Hangs);
    behind.survives(Network::Cut);
    behind.survives(Network::Slow);
    let again = |behind: &Behind| behind.runtime.block_on(behind.server.run());
    let outcome = behind.under(&[0.0, 0.5], |behind| behind.server.kill(), again);
    assert!(outcome.account.is_right(), "killed:\n{}", outcome.account);
}
