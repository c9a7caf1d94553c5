//! What reading costs and leaves behind: nothing, in the second case.

use qtop::link::Link;
use qtop_testkit::TestServer;

use crate::library::Library;
use crate::view;

#[tokio::test]
async fn p9_a_full_tour_changes_nothing() {
    let server = TestServer::start();
    let mut library = Library::populate(6, server.port());
    library.crash();
    // Locks that run out during the tour would change the keyspace by themselves.
    let mut client = server.client();
    let keys: Vec<Vec<u8>> =
        redis::cmd("SCAN").arg(0).arg("COUNT").arg(100_000).query::<(u64, _)>(&mut client).unwrap().1;
    for key in &keys {
        redis::cmd("PERSIST").arg(key).exec(&mut client).unwrap();
    }
    let before = (server.int("DBSIZE"), server.digest());
    let link = Link::open(&server.url()).await.unwrap();
    let samples = view::tour(&link, None).await;
    assert!(samples.len() >= 7, "the tour saw {} queues", samples.len());
    assert_eq!((server.int("DBSIZE"), server.digest()), before);
}
