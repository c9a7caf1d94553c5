use super::*;

fn problems(text: &str) -> Vec<String> {
    let handler: Handler = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let problems = check_handler(&handler, &["REDIS_LOGIN"]);
    problems.into_iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
}

#[test]
fn names_of_php_classes_are_matched_as_they_are_written() {
    let handler: Handler = toml::from_str(r#"match = ['App\Jobs\Send*', 'App\\Mail']"#).expect("a handler");
    for (name, taken) in
        [(r"App\Jobs\SendMail", true), (r"App\Mail", true), ("AppJobsSend", true), (r"App\Jobs\Pay", false)]
    {
        assert_eq!(handler.takes(name), taken, "{name}");
    }
}

#[test]
fn sound_handlers_pass() {
    for text in [
        r#"command = ["./run-workflow", "{data.repository}"]"#,
        r#"command = ["sh", "-c", "echo \"$1\"", "sh", "{data.url}"]"#,
        r#"command = ["python3", "work.py", "--id={id}"]"#,
        r#"command = ["./tool", "--mode", "watch", "{id}"]"#,
        r#"command = ["awk", "{{print $1}}"]"#,
        "match = [\"send_*\", \"mail\"]\nprocess = [\"node\", \"-e\", \"while (1) {}\"]\nmax_jobs = 5\nmax_time = \"1h\"",
        r#"http = { method = "POST", url = "https://localhost:8000/deliver", cert = "a", key = "b", ca = "c" }"#,
        r#"http = { url = "https://h/{data.id}?q={name}", headers = { Authorization = "Bearer {env.T}" }, body = { a = ["{job}"] } }"#,
    ] {
        assert_eq!(problems(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn s5_a_placeholder_inside_a_script_is_refused() {
    for command in [
        r#"["sh", "-c", "echo {data.url}"]"#,
        r#"["/bin/bash", "-ec", "echo {id}"]"#,
        r#"["env", "-i", "zsh", "-c", "{data}"]"#,
        r#"["python3.12", "-c", "print('{data.x}')"]"#,
        r#"["node", "--eval={data.x}"]"#,
        r#"["perl", "-e{data.x}"]"#,
        r#"["ssh", "host", "ls", "{data.path}"]"#,
        r#"["sudo", "-n", "ssh", "host", "{id}"]"#,
        r#"["php", "-r", "{data}"]"#,
        r#"["su", "user", "-c", "{name}"]"#,
        r#"["cmd", "/c", "{name}"]"#,
    ] {
        let found = problems(&format!("command = {command}"));
        assert!(found.len() == 1 && found[0].contains("would run what a job says"), "{command}: {found:?}");
    }
}

#[test]
fn what_cannot_be_right_is_said() {
    for (text, said) in [
        ("", ": this handler runs nothing"),
        (r#"command = []"#, "command: there is no program in this list"),
        (r#"command = ["convert.BAT", "{id}"]"#, "command[0]: arguments of batch files cannot be made safe"),
        (r#"command = ["{data.program}"]"#, "command[0]: a job must not choose the program"),
        (r#"command = ["ls -l"]"#, "command[0]: this is a command line, not a program"),
        (r#"command = ["x", "{dta.url}"]"#, "command[1]: there is no {dta.url} here; did you mean {data.url}?"),
        (
            r#"process = ["x", "{data.url}"]"#,
            "process[1]: {data.url} is not known yet: a process is started before its jobs",
        ),
        ("command = [\"x\"]\nprocess = [\"y\"]", "process: `command` says already what is run"),
        (
            "command = [\"x\"]\nmax_jobs = 5",
            "max_jobs: `max_jobs` has no effect here: a `command` is started anew for every job",
        ),
        ("command = [\"x\"]\nmatch = \"\"", "match: an empty pattern matches no job"),
        ("command = [\"x\"]\nnice = 20", "nice: nobody can step back further than 19"),
        ("command = [\"x\"]\ncpu = \"10ms\"", "cpu: processor time is counted in whole seconds"),
        (r#"http = {}"#, "http: `url` is missing here"),
        (r#"http = { url = "ftp://h/x" }"#, "http.url: this is no address of a service"),
        (r#"http = { url = "https://h", method = "post" }"#, "http.method: \"post\" is no method"),
        (r#"http = { url = "https://me:pw@h/" }"#, "http.url: a login in the address ends up in logs"),
        (r#"http = { url = "https://h/", cert = "a" }"#, "http.cert: `cert` without `key`"),
        (r#"http = { url = "https://h/", headers = { Host = "x" } }"#, "http.headers: Host is set by qtop"),
        (
            r#"http = { url = "https://h/", body = { a = { b = "{x}" } } }"#,
            "http.body.a.b: there is no {x} here; there are {id}, {name}, {queue}, {attempt}, {attempts}, {data}, {job}",
        ),
        (
            r#"http = { url = "https://h/", status = { url = "https://h/s", before = false, after = false } }"#,
            "http.status: this call is never made",
        ),
    ] {
        assert_eq!(problems(text), [said], "{text}");
    }
}

#[test]
fn s9_variables_with_logins_are_not_passed_on() {
    for name in ["QTOP_URL", "REDIS_LOGIN"] {
        let found = problems(&format!("command = [\"x\"]\npass_env = [\"LANG\", \"{name}\"]"));
        assert_eq!(found, [format!("pass_env[1]: {name} may hold the login to Redis")]);
    }
    assert_eq!(
        problems("command = [\"x\"]\npass_env = [\"AWS_*\"]"),
        ["pass_env[0]: \"AWS_*\" is no name of a variable"]
    );
}

#[test]
fn s12_a_job_cannot_choose_the_host() {
    for url in ["https://{data.host}/x", "https://h.{data.zone}", "http://h:{data.port}/x"] {
        let found = problems(&format!("http = {{ url = \"{url}\" }}"));
        assert!(found.len() == 1 && found[0].contains("must not choose the host"), "{url}: {found:?}");
    }
}

#[test]
fn paths_become_absolute_and_programs_by_name_stay() {
    let mut handler: Handler = toml::from_str("command = [\"./run\", \"./x\"]\nscratch = \"tmp\"").expect("sound");
    handler.resolve(&|path| std::path::Path::new("/etc/qtop").join(path));
    assert_eq!(handler.command.as_deref(), Some(&["/etc/qtop/./run".to_owned(), "./x".to_owned()][..]));
    assert_eq!(handler.scratch.as_deref(), Some(std::path::Path::new("/etc/qtop/tmp")));
    let mut named: Handler = toml::from_str("command = [\"python3\"]").expect("sound");
    named.resolve(&|path| std::path::Path::new("/etc/qtop").join(path));
    assert_eq!(named.label(), "command python3");
    assert_eq!(named.command.as_deref(), Some(&["python3".to_owned()][..]));
}
