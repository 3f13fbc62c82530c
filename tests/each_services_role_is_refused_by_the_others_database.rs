//! Each service has its own database and its own role: neither can reach the other's tables, not even when it is let into
//! the other's database by mistake.

use sqlx::{Connection, PgConnection};

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_postgres};
use crate::support::operator::{self, operator, run, try_run};
use crate::support::{deliveries, questions, services};

on_postgres!(each_services_role_is_refused_by_the_others_database);

/// What PostgreSQL calls a missing privilege.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// One service's database and role, as an operator makes them.
struct Tenant {
    role: String,
    database: String,
    url: String,
}

async fn each_services_role_is_refused_by_the_others_database(database: &impl AsyncFn() -> Throwaway) {
    let product_tenant = Tenant::make(&database().await).await;
    let delivery_tenant = Tenant::make(&database().await).await;

    // Both work under roles that may do nothing else.
    let product = services::product_with(&product_tenant.url, None, &[]).await;
    let delivery = services::delivery_with(&delivery_tenant.url, product.address, &[]).await;
    let shop = open_shop(&product).await;
    let order = deliveries::order(&shop.milk, &shop.city);
    let created = deliveries::create(&delivery, &order).await.expect("milk goes to the city");
    deliveries::dispatch(&delivery, &created.delivery_id).await.expect("it is confirmed");
    questions::create_product(&product, &crate::support::catalogue::id(), "new").await.expect("it is stored");

    let tables = ["products", "locations", "rules", "catalogue_head"];
    delivery_tenant.is_refused_by(&product_tenant, &tables).await;
    product_tenant.is_refused_by(&delivery_tenant, &["deliveries"]).await;
}

// === impl Tenant ===

impl Tenant {
    async fn make(database: &Throwaway) -> Self {
        let name = operator::name_of(database);
        let role = format!("role_of_{name}");
        let statements = [
            format!("CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"),
            format!("ALTER DATABASE {name} OWNER TO {role}"),
            format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC"),
        ];
        run(&mut operator().await, &statements).await;
        let url = as_role(&database.url(), &role);
        Self { role, database: name, url }
    }

    async fn is_refused_by(&self, other: &Self, tables: &[&str]) {
        let url = as_role(&other.url, &self.role);
        let outside = PgConnection::connect(&url).await.expect_err("the role may not connect");
        assert_eq!(code(&outside).as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{outside}");

        // A slip of the operator's opens the door: the tables stay shut.
        let (role, database) = (&self.role, &other.database);
        run(&mut operator().await, &[format!("GRANT CONNECT ON DATABASE {database} TO {role}")]).await;
        let mut inside = PgConnection::connect(&url).await.expect("the door is open");
        for table in tables {
            for statement in [format!("SELECT * FROM {table}"), format!("DELETE FROM {table}")] {
                let refused =
                    try_run(&mut inside, &statement).await.expect_err("the table is not the role's");
                assert_eq!(code(&refused).as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{statement}: {refused}");
            }
        }
        drop(inside);
        run(&mut operator().await, &[format!("REVOKE CONNECT ON DATABASE {database} FROM {role}")]).await;
        PgConnection::connect(&url).await.expect_err("the door is shut again");
    }
}

/// The same database, with another role's name before the host.
fn as_role(url: &str, role: &str) -> String {
    let (_, place) = url.rsplit_once('@').expect("a URL with a role");
    format!("postgres://{role}@{place}")
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}
