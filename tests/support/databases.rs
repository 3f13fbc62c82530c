//! Stories that hold on either database are told on both.

pub use chassis::database::throwaway::Throwaway;

/// Makes one test for each database out of a story: `on_both!(story_name)`.
macro_rules! on_both {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $story() {
                super::$story(&async || $crate::support::databases::Throwaway::sqlite()).await;
            })+
        }

        $crate::support::databases::on_postgres!($($story),+);
    };
}
pub(crate) use on_both;

/// The same for what only PostgreSQL can show: `on_postgres!(story_name)`.
macro_rules! on_postgres {
    ($($story:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test]
            async fn $story() {
                if let Some(first) = $crate::support::databases::Throwaway::postgres().await {
                    drop(first);
                    super::$story(&async || {
                        $crate::support::databases::Throwaway::postgres().await.expect("it was there a moment ago")
                    })
                    .await;
                }
            })+
        }
    };
}
pub(crate) use on_postgres;
