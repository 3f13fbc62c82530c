//! What goes wrong, by chance.

use std::time::Duration;

use resilience::Random;
use tonic::Status;
use turmoil::Sim;

use crate::fake_product::{Says, Script};

pub const CLIENT: &str = "delivery";

/// One Product in the simulation.
pub struct Product {
    pub name: String,
    pub script: Script,
    state: Fault,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Crashed,
    Partitioned,
    Held,
    Misspeaks,
}

impl Product {
    pub fn new(number: usize) -> Self {
        Self { name: format!("product-{number}"), script: Script::new(Says::Yes), state: Fault::None }
    }

    /// Heals what is wrong, or lets something go wrong.
    pub fn change(&mut self, sim: &mut Sim<'_>, random: &Random) {
        if self.state != Fault::None && random.below(2) == 0 {
            return self.heal(sim);
        }
        self.heal(sim);
        let ms = |least: u64, most: usize| Duration::from_millis(least + random.below(most) as u64);
        self.state = match random.below(9) {
            0 => {
                sim.crash(self.name.as_str());
                Fault::Crashed
            }
            1 => {
                sim.partition(CLIENT, self.name.as_str());
                Fault::Partitioned
            }
            2 => {
                sim.hold(CLIENT, self.name.as_str());
                Fault::Held
            }
            3 => self.says(Says::YesAfter(ms(20, 600))),
            4 => self.says(Says::Nothing),
            5 => self.says(Says::Error(Status::unavailable("x"))),
            6 => self.says(Says::Error(Status::internal("x"))),
            7 => self.says(Says::Error(Status::resource_exhausted("x"))),
            _ => {
                // A rolling restart's way.
                sim.bounce(self.name.as_str());
                Fault::None
            }
        };
    }

    pub fn heal(&mut self, sim: &mut Sim<'_>) {
        match std::mem::replace(&mut self.state, Fault::None) {
            Fault::None => {}
            Fault::Crashed => sim.bounce(self.name.as_str()),
            Fault::Partitioned => sim.repair(CLIENT, self.name.as_str()),
            Fault::Held => sim.release(CLIENT, self.name.as_str()),
            Fault::Misspeaks => self.script.set(vec![Says::Yes]),
        }
    }

    fn says(&self, says: Says) -> Fault {
        self.script.set(vec![says]);
        Fault::Misspeaks
    }
}
