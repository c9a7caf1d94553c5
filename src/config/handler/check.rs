//! What cannot be right about a handler, found before any job is taken.

use std::time::Duration;

use super::http::{Headers, Http};
use super::{Handler, Input};
use crate::domain::template::{self, Root, Template};

/// Programs that read a command line or a script from an argument, with the options that announce it. What a
/// placeholder would put there would be run (S5).
const INTERPRETERS: &[(&[&str], &[&str])] = &[
    (
        &["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish", "su", "runuser", "script", "flock"],
        &["-c", "--command"],
    ),
    (&["python", "python2", "python3", "pypy", "pypy3"], &["-c"]),
    (&["perl", "ruby", "lua", "luajit", "osascript"], &["-e", "-E"]),
    (&["node", "nodejs", "deno", "bun"], &["-e", "--eval", "-p", "--print", "-pe", "eval"]),
    (&["php"], &["-r", "--run", "-B", "-R", "-E"]),
    (&["cmd", "cmd.exe"], &["/c", "/C", "/k", "/K"]),
    (&["powershell", "powershell.exe", "pwsh"], &["-Command", "-command", "-c", "-EncodedCommand"]),
];

/// Programs that hand all their arguments to a shell, here or elsewhere.
const JOINERS: &[&str] = &["ssh", "watch", "mosh"];

/// Programs behind which another program is named.
const WRAPPERS: &[&str] = &["env", "sudo", "doas", "nice", "nohup", "setsid", "stdbuf", "sshpass"];

/// Something wrong with a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerProblem {
    /// The setting, for example `command[1]` or `http.url`; empty: the handler as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// Everything that is wrong with a handler. `secrets` are names of environment variables that hold logins to Redis.
pub fn check_handler(handler: &Handler, secrets: &[&str]) -> Vec<HandlerProblem> {
    let mut check = Check { problems: Vec::new() };
    check.kind(handler);
    if let Some(argv) = &handler.command {
        check.program("command", argv);
        check.arguments(argv);
    }
    if let Some(argv) = &handler.process {
        check.program("process", argv);
        check.fixed(argv);
    }
    if let Some(http) = &handler.http {
        check.http(http);
    }
    check.matches(handler);
    check.options(handler);
    check.environment(handler, secrets);
    check.problems
}

struct Check {
    problems: Vec<HandlerProblem>,
}

impl Check {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>, remedy: &str) {
        let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
        self.problems.push(HandlerProblem { field: field.into(), message: message.into(), remedy });
    }

    fn kind(&mut self, handler: &Handler) {
        let kinds = [
            ("command", handler.command.is_some()),
            ("process", handler.process.is_some()),
            ("http", handler.http.is_some()),
        ];
        let mut given = kinds.iter().filter(|(_, given)| *given).map(|(kind, _)| *kind);
        match (given.next(), given.next()) {
            (None, _) => self.add(
                "",
                "this handler runs nothing",
                "add command = [\"program\", \"{id}\"], process = [\"program\"] or http = { url = \"https://…\" }",
            ),
            (Some(first), Some(second)) => {
                self.add(second, format!("`{first}` says already what is run"), "write a second handler for it");
            }
            (Some(_), None) => {}
        }
    }

    fn matches(&mut self, handler: &Handler) {
        if handler.matches.is_empty() || handler.matches.iter().any(str::is_empty) {
            self.add(
                "match",
                "an empty pattern matches no job",
                "write a glob such as \"send_*\", or \"*\" for all jobs",
            );
        }
    }

    /// The program itself: always the same one, never a batch file.
    fn program(&mut self, kind: &str, argv: &[String]) {
        let Some(program) = argv.first().filter(|program| !program.trim().is_empty()) else {
            self.add(kind, "there is no program in this list", "write its name first: [\"program\", \"argument\"]");
            return;
        };
        let first = format!("{kind}[0]");
        if Template::parse(program, template::ARGUMENT).is_ok_and(|parsed| parsed.fields().next().is_some()) {
            self.add(
                first,
                "a job must not choose the program",
                "write one handler for each program, told apart by `match`",
            );
        } else if program.split_whitespace().count() > 1 && !program.contains('/') {
            self.add(first, "this is a command line, not a program", "write every argument as a text of its own");
        } else if [".bat", ".cmd"].iter().any(|ending| program.to_ascii_lowercase().ends_with(ending)) {
            // Their arguments are taken apart by a shell, whatever the caller does (CVE-2024-24576).
            self.add(first, "arguments of batch files cannot be made safe", "name the program that it starts");
        }
        for (index, argument) in argv.iter().enumerate().filter(|(_, argument)| argument.contains('\0')) {
            self.add(format!("{kind}[{index}]"), format!("there is a NUL in {argument:?}"), "take it out");
        }
    }

    fn arguments(&mut self, argv: &[String]) {
        let mut filled = vec![false; argv.len()];
        for (index, argument) in argv.iter().enumerate().skip(1) {
            match Template::parse(argument, template::ARGUMENT) {
                Ok(parsed) => filled[index] = parsed.fields().next().is_some(),
                Err(error) => self.add(format!("command[{index}]"), error.to_string(), ""),
            }
        }
        for (index, message) in shell_fields(argv, &filled) {
            let remedy = "let the program read the job on its standard input, or pass the value behind the script: \
                          [\"sh\", \"-c\", \"echo \\\"$1\\\"\", \"sh\", \"{data.url}\"]";
            self.add(format!("command[{index}]"), message, remedy);
        }
    }

    /// The arguments of a process hold no placeholders; other braces are its own business.
    fn fixed(&mut self, argv: &[String]) {
        for (index, argument) in argv.iter().enumerate().skip(1) {
            if let Ok(parsed) = Template::parse(argument, template::ARGUMENT)
                && let Some(field) = parsed.fields().next()
            {
                let message = format!("{field} is not known yet: a process is started before its jobs");
                self.add(format!("process[{index}]"), message, "read it from the job, or use `command`");
            }
        }
    }

    fn options(&mut self, handler: &Handler) {
        let process = [
            ("max_jobs", handler.max_jobs.is_some()),
            ("max_time", handler.max_time.is_some()),
            ("max_memory", handler.max_memory.is_some()),
        ];
        let program = [
            ("env", !handler.env.is_empty()),
            ("pass_env", !handler.pass_env.is_empty()),
            ("kill_after", handler.kill_after.is_some()),
            ("memory", handler.memory.is_some()),
            ("cpu", handler.cpu.is_some()),
            ("nice", handler.nice.is_some()),
            ("scratch", handler.scratch.is_some()),
        ];
        let command = [
            ("input", handler.input != Input::default()),
            ("success_codes", handler.success_codes.is_some()),
            ("keep", handler.keep != super::Keep::default()),
        ];
        let foreign = |names: &[(&'static str, bool)]| -> Vec<&'static str> {
            names.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect()
        };
        let wrong = match (&handler.command, &handler.process, &handler.http) {
            (Some(_), _, _) => (foreign(&process), "a `command` is started anew for every job"),
            (_, Some(_), _) => (foreign(&command), "a `process` answers every job by itself"),
            (_, _, Some(_)) => {
                ([foreign(&process), foreign(&program), foreign(&command)].concat(), "`http` starts no program")
            }
            _ => (Vec::new(), ""),
        };
        for name in wrong.0 {
            self.add(name, format!("`{name}` has no effect here: {}", wrong.1), "take it out");
        }
        if handler.nice.is_some_and(|nice| nice > 19) {
            self.add("nice", "nobody can step back further than 19", "write 0 to 19");
        }
        if handler.cpu.is_some_and(|cpu| cpu < Duration::from_secs(1)) {
            self.add("cpu", "processor time is counted in whole seconds", "write \"1s\" or more");
        }
        if handler.memory.is_some_and(|memory| memory < 1 << 20) {
            self.add("memory", "no program starts with so little memory", "write \"1MiB\" or more");
        }
        if handler.success_codes.as_ref().is_some_and(Vec::is_empty) {
            self.add("success_codes", "no exit code would mean success", "name one, or leave it out for 0");
        }
        if handler.max_jobs == Some(0) {
            self.add("max_jobs", "a child must be allowed one job", "write 1 or more, or leave it out");
        }
    }

    fn environment(&mut self, handler: &Handler, secrets: &[&str]) {
        let fine = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
        for (index, name) in handler.pass_env.iter().enumerate() {
            let field = format!("pass_env[{index}]");
            if name.starts_with("QTOP_") || secrets.contains(&name.as_str()) {
                self.add(
                    field,
                    format!("{name} may hold the login to Redis"),
                    "a program needs none: qtop speaks to Redis",
                );
            } else if !fine(name) || name.contains('*') {
                self.add(field, format!("{name:?} is no name of a variable"), "name every variable by itself");
            }
        }
        for (name, value) in &handler.env {
            if !fine(name) || value.contains('\0') {
                self.add("env", format!("{name:?} cannot be set"), "a name has neither = nor NUL, a value no NUL");
            } else if name.starts_with("QTOP_") {
                self.add("env", format!("{name} is set by qtop"), "choose another name");
            }
        }
    }

    fn http(&mut self, http: &Http) {
        self.request("http", &http.method, &http.url, template::URL);
        self.headers("http.headers", &http.headers);
        self.body("http.body", http.body.as_ref(), template::BODY);
        for (one, other, alone) in [
            ("cert", "key", http.cert.is_some() && http.key.is_none()),
            ("key", "cert", http.key.is_some() && http.cert.is_none()),
        ] {
            if alone {
                let remedy = format!("add {other} = \"PATH\": certificate and key belong together");
                self.add(format!("http.{one}"), format!("`{one}` without `{other}`"), &remedy);
            }
        }
        if http.url.starts_with("http://") && (http.cert.is_some() || http.ca.is_some()) {
            self.add("http.url", "certificates mean nothing without TLS", "write https://");
        }
        for (name, time) in [("timeout", http.timeout), ("connect_timeout", http.connect_timeout)] {
            if time.is_zero() {
                self.add(format!("http.{name}"), "no request can be that fast", "write \"1s\" or more");
            }
        }
        if http.success.is_empty() {
            self.add("http.success", "no status would mean success", "write [\"2xx\"]");
        }
        if let Some(call) = &http.status {
            self.request("http.status", &call.method, &call.url, template::STATUS);
            self.body("http.status.body", call.body.as_ref(), template::STATUS);
            if let Some(headers) = &call.headers {
                self.headers("http.status.headers", headers);
            }
            if !call.before && !call.after {
                self.add("http.status", "this call is never made", "set before = true or after = true");
            }
        }
    }

    fn request(&mut self, at: &str, method: &str, url: &str, roots: &[Root]) {
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            self.add(format!("{at}.method"), format!("{method:?} is no method"), "write \"POST\", \"PUT\" or the like");
        }
        let field = format!("{at}.url");
        if url.is_empty() {
            self.add(at, "`url` is missing here", "add url = \"https://host/path\"");
            return;
        }
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let Some(rest) = rest else {
            self.add(field, "this is no address of a service", "write \"https://host/path\"");
            return;
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains(['{', '}']) {
            let message = "a job must not choose the host: what is sent would go wherever it says";
            self.add(field, message, "write the host out; placeholders may stand behind the first /");
        } else if host.contains('@') {
            let remedy = "headers = { Authorization = \"Basic {env.SERVICE_LOGIN}\" }";
            self.add(field, "a login in the address ends up in logs", remedy);
        } else if host.is_empty() || host.starts_with(':') || host.contains(char::is_whitespace) {
            self.add(field, "there is no host in this address", "write \"https://host/path\"");
        } else if let Err(error) = Template::parse(url, roots) {
            self.add(field, error.to_string(), "");
        }
    }

    fn headers(&mut self, at: &str, headers: &Headers) {
        for (name, value) in headers.expose() {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) {
                self.add(at, format!("{name:?} is no name of a header"), "letters, digits and - are safe");
            } else if ["host", "content-length", "transfer-encoding", "connection"]
                .contains(&name.to_ascii_lowercase().as_str())
            {
                self.add(at, format!("{name} is set by qtop"), "take it out");
            } else if let Err(error) = Template::parse(value, template::HEADER) {
                self.add(at, format!("{name}: {error}"), "");
            }
        }
    }

    fn body(&mut self, at: &str, body: Option<&toml::Value>, roots: &[Root]) {
        match body {
            Some(toml::Value::String(text)) => {
                if let Err(error) = Template::parse(text, roots) {
                    self.add(at, error.to_string(), "");
                }
            }
            Some(toml::Value::Array(items)) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| self.body(&format!("{at}[{index}]"), Some(item), roots));
            }
            Some(toml::Value::Table(table)) => {
                table.iter().for_each(|(name, item)| self.body(&format!("{at}.{name}"), Some(item), roots));
            }
            _ => {}
        }
    }
}

/// Arguments in which a placeholder would become part of a script, with what to say about it.
fn shell_fields(argv: &[String], filled: &[bool]) -> Vec<(usize, String)> {
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    let mut options: Vec<(&str, &str)> = Vec::new();
    let mut joiner: Option<String> = None;
    for (index, word) in argv.iter().enumerate() {
        let filled = filled.get(index).copied().unwrap_or_default();
        if filled && let Some(name) = &joiner {
            found.push((index, format!("{name} hands its arguments to a shell, which would run what a job says")));
        } else if filled {
            let script = options.iter().find(|(_, option)| {
                let before = index.checked_sub(1).and_then(|before| argv.get(before));
                before.is_some_and(|before| announces(before, option))
                    || word.starts_with(&format!("{option}="))
                    || (option.len() == 2 && word.starts_with(*option) && !word.starts_with("--"))
            });
            if let Some((name, option)) = script {
                found.push((index, format!("{name} {option} takes a script, and would run what a job says")));
            }
        }
        let name = base(word);
        // `python3.12` is python3 too.
        let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        for (names, announcing) in INTERPRETERS {
            if let Some(known) = names.iter().find(|known| **known == name || **known == plain) {
                options.extend(announcing.iter().map(|option| (*known, *option)));
            }
        }
        let wrapped =
            |word: &String| word.starts_with('-') || word.contains('=') || WRAPPERS.contains(&base(word).as_str());
        if JOINERS.contains(&name.as_str()) && argv[..index].iter().all(wrapped) {
            joiner = Some(name);
        }
    }
    found
}

/// True if this argument says that a script follows: the option itself, or a bundle of letters that ends in it (`-ec`).
fn announces(argument: &str, option: &str) -> bool {
    let bundle =
        argument.starts_with('-') && !argument.starts_with("--") && option.len() == 2 && option.starts_with('-');
    argument == option || (bundle && argument.ends_with(&option[1..]) && argument.len() < 8)
}

#[cfg(test)]
mod tests;
