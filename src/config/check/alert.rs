//! What cannot be right in the `[[alert]]` tables.

use super::{Check, steps};
use crate::config::alert::Alert;
use crate::config::document::Step;
use crate::config::handler::check_handler;
use crate::config::schema::Config;

impl Check<'_> {
    pub(super) fn alerts(&mut self, config: &Config) {
        let secrets: Vec<&str> = config
            .servers
            .values()
            .flat_map(|server| [server.url_env.as_deref(), server.password_env.as_deref()])
            .flatten()
            .collect();
        for (index, alert) in config.alerts.iter().enumerate() {
            self.alert(index, alert, &config.alerts[..index], &secrets);
        }
    }

    fn alert(&mut self, index: usize, alert: &Alert, before: &[Alert], secrets: &[&str]) {
        let table = vec![Step::from("alert"), Step::from(index)];
        let at = |key: &str| [table.clone(), vec![Step::from(key)]].concat();
        if alert.name.is_empty() {
            self.add(&table, "an alert needs a name", None, Some("add name = \"…\": the hook is told it".to_owned()));
        } else if before.iter().any(|other| other.name == alert.name) {
            self.add(&at("name"), format!("two alerts are called {:?}", alert.name), None, None);
        }
        for code in alert.when.iter() {
            let known = self.known;
            self.one_of(&at("when"), "finding", code, &known.findings);
        }
        if alert.timeout.is_zero() {
            self.add(&at("timeout"), "no hook ends in no time", Some("a time such as \"30s\"".to_owned()), None);
        }
        if alert.hook.process.is_some() {
            let remedy = Some("use command or http".to_owned());
            self.add(&at("hook"), "a hook is started for each alert, it is no lasting process", None, remedy);
            return;
        }
        if alert.hook.command.is_none() && alert.hook.http.is_none() {
            if !self.document.lost_from(&table) {
                let remedy = "add hook = { command = [\"PROGRAM\", …] } or hook = { http = { url = \"https://…\" } }";
                self.add(&table, "nobody would be told", None, Some(remedy.to_owned()));
            }
            return;
        }
        let hook = &alert.hook;
        let of_jobs = [
            ("timeout", hook.timeout.is_some(), "write the alert's own timeout"),
            ("retry", hook.retry.is_some(), "take it out"),
            ("max_crashes", hook.max_crashes.is_some(), "take it out"),
            ("dedup", hook.dedup.is_some(), "take it out"),
        ];
        for (key, _, remedy) in of_jobs.into_iter().filter(|(_, given, _)| *given) {
            let place = [at("hook"), vec![key.into()]].concat();
            self.add(&place, format!("`{key}` has no effect here: a hook runs no job"), None, Some(remedy.to_owned()));
        }
        for problem in check_handler(hook, secrets) {
            let place = [table.clone(), vec!["hook".into()], steps(&problem.field)].concat();
            self.add(&place, problem.message, None, problem.remedy);
        }
    }
}
