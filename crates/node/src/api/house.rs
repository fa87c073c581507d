//! The connections of the API, bounded: who is inside, and who makes room when the house is full.
//!
//! A caller that has sent no whole request head costs nothing to itself and a place to everybody else. When all places are
//! taken, the oldest of these is put out; if there is none, whoever has been idle longest since its last answer. A caller
//! whose request is being answered keeps its place, so only a house full of work closes the door.

use hyper::service::Service;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Where a caller stands.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// No whole request head yet.
    Silent,
    /// Its request is being answered.
    Busy,
    /// Answered; nothing further came since.
    Idle(Instant),
}

#[derive(Debug)]
struct Inside {
    standing: Arc<Mutex<Standing>>,
    out: oneshot::Sender<()>,
}

/// All connections.
#[derive(Debug)]
pub(super) struct House {
    places: usize,
    /// Whoever was answered a moment ago may still be taking its answer.
    idle_min: Duration,
    inside: Arc<Mutex<BTreeMap<u64, Inside>>>,
    next: u64,
    open: mpsc::Sender<()>,
    all_gone: mpsc::Receiver<()>,
}

/// A place for one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    standing: Arc<Mutex<Standing>>,
    inside: Arc<Mutex<BTreeMap<u64, Inside>>>,
    _open: mpsc::Sender<()>,
}

fn set(standing: &Mutex<Standing>, to: Standing) {
    *standing.lock().unwrap_or_else(PoisonError::into_inner) = to;
}

impl House {
    pub(super) fn new(places: u32, idle_min: Duration) -> Self {
        let (open, all_gone) = mpsc::channel(1);
        let places = usize::try_from(places).unwrap_or(usize::MAX);
        Self { places, idle_min, inside: Arc::default(), next: 0, open, all_gone }
    }

    /// A place, if need be of somebody who does nothing with his, and what resolves when its caller makes room for another.
    /// None when everybody is at work.
    pub(super) fn enter(&mut self) -> Option<(Place, oneshot::Receiver<()>)> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.len() >= self.places {
            let loser = self.whoever_makes_room(&inside)?;
            // A connection that ended this moment hears nothing, and needs not.
            let _gone = inside.remove(&loser).map(|loser| loser.out.send(()));
        }
        let (number, (out, told)) = (self.next, oneshot::channel());
        self.next = self.next.wrapping_add(1);
        let standing = Arc::new(Mutex::new(Standing::Silent));
        inside.insert(number, Inside { standing: Arc::clone(&standing), out });
        let (inside, open) = (Arc::clone(&self.inside), self.open.clone());
        Some((Place { number, standing, inside, _open: open }, told))
    }

    fn whoever_makes_room(&self, inside: &BTreeMap<u64, Inside>) -> Option<u64> {
        let mut idle: Option<(Instant, u64)> = None;
        for (number, caller) in inside {
            match *caller.standing.lock().unwrap_or_else(PoisonError::into_inner) {
                // Numbers rise, so the first one is the oldest.
                Standing::Silent => return Some(*number),
                Standing::Idle(since) if since.elapsed() >= self.idle_min => {
                    let found = (since, *number);
                    idle = Some(idle.map_or(found, |least| least.min(found)));
                }
                Standing::Idle(_) | Standing::Busy => {}
            }
        }
        idle.map(|(_, number)| number)
    }

    /// Waits until everybody has left.
    pub(super) async fn empty(self) {
        let Self { open, mut all_gone, .. } = self;
        drop(open);
        let _all_gone = all_gone.recv().await;
    }
}

impl Place {
    /// The service, noting what the caller of this place does.
    pub(super) fn noting<S>(&self, service: S) -> Noting<S> {
        Noting { service, standing: Arc::clone(&self.standing) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// A service that notes when its caller's request begins and ends.
#[derive(Debug)]
pub(super) struct Noting<S> {
    service: S,
    standing: Arc<Mutex<Standing>>,
}

impl<S, R> Service<R> for Noting<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn call(&self, request: R) -> Self::Future {
        set(&self.standing, Standing::Busy);
        let (answer, standing) = (self.service.call(request), Arc::clone(&self.standing));
        Box::pin(async move {
            let answer = answer.await;
            set(&standing, Standing::Idle(Instant::now()));
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_silent_caller_makes_room_then_the_longest_idle_and_no_busy_one() {
        let mut house = House::new(3, Duration::ZERO);
        let mut all: Vec<_> = (0..3).map(|_| house.enter().unwrap()).collect();
        set(&all[0].0.standing, Standing::Busy);
        set(&all[1].0.standing, Standing::Idle(Instant::now()));
        all.push(house.enter().unwrap());
        let out = |(_, out): &mut (Place, oneshot::Receiver<()>)| out.try_recv().is_ok();
        assert!(out(&mut all[2]) && !out(&mut all[1]) && !out(&mut all[0]));
        set(&all[3].0.standing, Standing::Busy);
        all.push(house.enter().unwrap());
        assert!(out(&mut all[1]));
        set(&all[4].0.standing, Standing::Busy);
        assert!(house.enter().is_none(), "everybody is at work");
        drop(all.remove(0));
        assert!(house.enter().is_some());
    }

    #[test]
    fn whoever_was_answered_a_moment_ago_keeps_the_place() {
        let mut house = House::new(1, Duration::from_secs(60));
        let (place, _out) = house.enter().unwrap();
        set(&place.standing, Standing::Idle(Instant::now()));
        assert!(house.enter().is_none());
    }
}
