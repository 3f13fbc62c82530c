//! How messages become bytes: as tonic-prost does it, but out of and into one piece of memory.
//!
//! tonic's buffers may be in several pieces, and ask for each byte whether the next piece begins. A message is whole when it
//! is decoded, so it is read as one slice. Errors are worded as tonic-prost's.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{Buf, BufMut};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Encodes T, decodes U.
pub struct SliceCodec<T, U>(PhantomData<(T, U)>);

/// One direction of a [`SliceCodec`].
pub struct Half<M>(PhantomData<M>);

impl<T, U> Default for SliceCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> Codec for SliceCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = Half<T>;
    type Decoder = Half<U>;

    fn encoder(&mut self) -> Half<T> {
        Half(PhantomData)
    }

    fn decoder(&mut self) -> Half<U> {
        Half(PhantomData)
    }
}

impl<M: Message> Encoder for Half<M> {
    type Item = M;
    type Error = Status;

    fn encode(&mut self, message: M, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&message.encode_to_vec());
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl<M: Message + Default> Decoder for Half<M> {
    type Item = M;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<M>, Status> {
        let length = buffer.remaining();
        let decoded = if buffer.chunk().len() == length {
            let decoded = M::decode(buffer.chunk());
            buffer.advance(length);
            decoded
        } else {
            M::decode(&mut *buffer)
        };
        decoded.map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
