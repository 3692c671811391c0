//! The load generator: one thread that plays the Proxies' side of both connections and keeps so
//! many messages outstanding, from the request sent until both its reply and its update have come.
//! Here is what it is asked to do and what it reports; how the messages flow is the matter of
//! [`crate::flow`].

use std::io;
use std::time::{Duration, Instant};

use crate::flow::Flow;
use crate::procfs::Usage;
use crate::proxies::Connections;
use crate::script::Script;
use crate::stats::Percentiles;

/// How long to warm up and to measure.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// Before the counters are read.
    pub(crate) warm: Duration,
    /// Between the two readings of the counters.
    pub(crate) measure: Duration,
}

/// What one measurement saw.
pub(crate) struct Sample {
    /// Messages whose reply and update came.
    pub(crate) messages: f64,
    /// The time that took.
    pub(crate) seconds: f64,
    /// What the measured process used.
    pub(crate) used: Usage,
    /// What the generator used itself.
    pub(crate) generator: Usage,
    /// From the write that carried the NUM to the read that brought the update.
    pub(crate) latency: Percentiles,
}

impl Sample {
    /// Messages per second.
    pub(crate) fn rate(&self) -> f64 {
        self.messages / self.seconds
    }

    /// Microseconds of CPU of the measured process per message.
    pub(crate) fn cpu(&self) -> f64 {
        self.used.cpu.as_secs_f64() * 1e6 / self.messages
    }

    /// Context switches of the measured process per message.
    pub(crate) fn switches(&self) -> f64 {
        self.used.switches as f64 / self.messages
    }

    /// The share of the time in which the generator's thread ran: near 100 % the generator is what
    /// limits.
    pub(crate) fn generator_busy(&self) -> f64 {
        self.generator.cpu.as_secs_f64() / self.seconds
    }
}

/// Keeps `window` messages outstanding for that long and measures in the midst of it; then takes in
/// what is left.
pub(crate) fn measure(
    connections: &mut Connections,
    pid: u32,
    script: &Script,
    window: usize,
    span: Span,
) -> io::Result<Sample> {
    let mut flow = Flow::new(connections, script, window, u64::MAX)?;
    let begun = Instant::now();
    while flow.now().duration_since(begun) < span.warm {
        flow.step()?;
    }
    let (start, before) = (Instant::now(), flow.done());
    let (used, own) = (Usage::of(pid)?, Usage::of(std::process::id())?);
    // What was under way meanwhile has waited for these readings and says nothing about latency.
    flow.forget_latencies_until_now()?;
    while flow.now().duration_since(start) < span.measure {
        flow.step()?;
    }
    let (elapsed, messages) = (start.elapsed(), flow.done() - before);
    let (used, generator) = (Usage::of(pid)? - used, Usage::of(std::process::id())? - own);
    let latency = flow.percentiles();
    flow.stop()?;
    Ok(Sample {
        messages: messages as f64,
        seconds: elapsed.as_secs_f64(),
        used,
        generator,
        latency,
    })
}

/// Sends that many requests of the script, from its start and round it as often as need be, and
/// takes all answers.
pub(crate) fn send(
    connections: &mut Connections,
    script: &Script,
    window: usize,
    count: usize,
) -> io::Result<()> {
    Flow::new(connections, script, window, count as u64)?.finish()
}
