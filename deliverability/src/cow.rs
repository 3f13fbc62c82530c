//! Collections whose clones share what neither has changed since: a clone costs one pointer, a change one small copy.

mod map;
mod shard;
mod vec;

pub(crate) use map::CowMap;
pub(crate) use vec::CowVec;
