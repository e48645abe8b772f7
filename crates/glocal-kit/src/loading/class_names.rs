//! What the classes are called.

use std::path::Path;

use super::error::{LoadError, LoadErrorKind};

/// The names of a model's classes, in the order of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassNames {
    names: Vec<String>,
    path: std::path::PathBuf,
}

impl ClassNames {
    /// Reads a file of one name a line (blank lines at the end are left out), or a JSON list of names.
    ///
    /// # Errors
    /// When the file cannot be read, or starts with `[` and is no JSON list of texts.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path).map_err(|cause| LoadError::new(path, LoadErrorKind::Read(cause)))?;
        let text = text.trim_start_matches('\u{feff}');
        let names = if text.trim_start().starts_with('[') {
            serde_json::from_str(text).map_err(|cause| LoadError::new(path, LoadErrorKind::Json(cause)))?
        } else {
            text.trim_end().lines().map(|line| line.trim().to_owned()).collect()
        };
        Ok(Self { names, path: path.to_owned() })
    }

    /// Checks that there is a name for each of `classes` classes.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn check(&self, classes: usize) -> Result<(), LoadError> {
        if self.names.len() == classes {
            return Ok(());
        }
        Err(LoadError::new(&self.path, LoadErrorKind::ClassCount { names: self.names.len(), classes }))
    }

    /// The name of a class.
    pub fn get(&self, class: usize) -> Option<&str> {
        self.names.get(class).map(String::as_str)
    }

    /// The file that they were read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All names.
    pub fn as_slice(&self) -> &[String] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_json_lists_give_the_same_names() {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [("names.txt", "cat\r\nhot dog\n\n"), ("names.json", "[\"cat\", \"hot dog\"]\n")] {
            let path = folder.path().join(file);
            std::fs::write(&path, text).unwrap();
            let names = ClassNames::read(&path).unwrap();
            assert_eq!(names.as_slice(), ["cat", "hot dog"], "{file}");
            assert!(names.check(2).is_ok());
            assert!(matches!(names.check(3).unwrap_err().kind(), LoadErrorKind::ClassCount { names: 2, classes: 3 }));
        }
    }

    #[test]
    fn what_is_no_list_of_names_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.json");
        std::fs::write(&path, "[\"cat\", 1]").unwrap();
        assert!(matches!(ClassNames::read(&path).unwrap_err().kind(), LoadErrorKind::Json(_)));
        assert!(matches!(ClassNames::read(folder.path()).unwrap_err().kind(), LoadErrorKind::Read(_)));
    }
}
