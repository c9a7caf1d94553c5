//! Recipes as files: each is sound, can be included, and mistakes in an included file are told at their place in it.

use qtop::config::RECIPES;
use qtop_testkit::TestServer;

use crate::shell::Shell;

#[test]
fn every_recipe_is_sound_as_a_file_and_included() {
    let server = TestServer::start();
    assert_eq!(RECIPES.len(), 6);
    for (name, text) in RECIPES {
        let (code, said) = Shell::of_recipe(&server, name).text(&["config", "check"]);
        assert_eq!(code, 0, "{name}: {said}");
        let including = Shell::with(&server, &format!("include = [\"recipe:{name}\"]\n"));
        let (code, printed) = including.text(&["config", "print"]);
        assert_eq!(code, 0, "{name}: {printed}");
        assert!(printed.contains("[[convention]]") || printed.contains("[[list]]"), "{name}: {printed}");
        let (code, shown) = including.text(&["config", "recipes", name]);
        assert_eq!((code, shown.trim_end()), (0, text.trim_end()));
    }
    let (_, names) = Shell::with(&server, "").text(&["config", "recipes"]);
    assert!(RECIPES.iter().all(|(name, _)| names.contains(&format!("recipe:{name}"))), "{names}");
}

#[test]
fn a_misspelled_recipe_is_told_with_its_place_and_the_nearest_name() {
    let server = TestServer::start();
    let (code, said) = Shell::with(&server, "include = [\"recipe:whatsap\"]\n").text(&["config", "check"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("qtop.toml:1:12") && said.contains("did you mean \"recipe:whatsapp\"?"), "{said}");
}

#[test]
fn mistakes_in_an_included_file_are_told_at_their_place_in_it() {
    let server = TestServer::start();
    let shell =
        Shell::with(&server, "include = [\"queues.toml\", \"missing.toml\"]\n[[list]]\nname = \"a\"\nkey = \"a\"\n");
    let text = "[ui]\ntheme = \"dark\"\n\n[[list]]\nname = \"b\"\nkee = \"b\"\n\n[discovery]\nscan = false\n\
        [[convention]]\nname = \"c\"\nqueues = \"*\"\nowner = { key = \"o:{idd}\", worker = \"w\" }\n\
        [[list]]\nname = \"a\"\nkey = \"x\"\n";
    std::fs::write(shell.home().join("queues.toml"), text).unwrap();
    let (code, said) = shell.text(&["config", "check"]);
    assert_eq!(code, 2, "{said}");
    for part in [
        "queues.toml:1:2",
        "`ui` cannot be set by an included file",
        "queues.toml:6:1",
        "did you mean `key`?",
        "`discovery.scan` cannot be set by an included file",
        "queues.toml:13:17",
        "there is no {idd}; did you mean {id}?",
        "another [[list]] is called \"a\" already",
        "missing.toml",
        "there is no such file",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
}

#[test]
fn an_included_file_is_found_beside_the_configuration_and_used() {
    let server = TestServer::start();
    server.run("LPUSH app:work one two");
    server.run("LPUSH app:state:queue x");
    let shell = Shell::with(&server, "include = [\"queues.toml\"]\n");
    let text =
        "[discovery]\nignore = [\"app:state:*\"]\n[[list]]\nname = \"work\"\nkey = \"app:work\"\nitem = \"raw\"\n";
    std::fs::write(shell.home().join("queues.toml"), text).unwrap();
    assert_eq!(shell.queue("work")["counts"]["waiting"], 2);
    let all = shell.json(&["queues", "--json"]).to_string();
    assert!(!all.contains("app:state"), "{all}");
}
