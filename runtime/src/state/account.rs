//! Who runs this program, by the operating system's account.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The name of the user whose process this is; the number, where the system's file of users has no name for it.
#[must_use]
pub fn os_user() -> String {
    let Ok(process) = std::fs::metadata("/proc/self") else { return "unknown".to_owned() };
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    name_of(process.uid(), &users).unwrap_or_else(|| format!("uid {}", process.uid()))
}

fn name_of(uid: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbaker:x:1001:100::/home/b:/bin/sh\nbroken\n";
        assert_eq!(name_of(1001, users).as_deref(), Some("baker"));
        assert_eq!(name_of(100, users), None, "the group is no user");
        assert_ne!(os_user(), "unknown");
    }
}
