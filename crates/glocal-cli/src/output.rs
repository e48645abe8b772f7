//! Files written whole or not at all: first to a temporary name beside the target, then renamed.
//!
//! That an output cannot be written is found out before the work starts. A file in the way is overwritten, anything
//! else is left alone; missing folders are made, and taken away again when nothing was put into them.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// An output could not be written.
#[derive(Debug)]
pub struct OutputError {
    path: PathBuf,
    kind: OutputErrorKind,
}

#[derive(Debug)]
enum OutputErrorKind {
    /// Found out before the work.
    NotWritable(io::Error),
    /// A folder, a pipe or a device is in the way.
    NotAFile,
    /// A file is where a folder should be.
    NotAFolder,
    /// Writing failed afterwards: the disk is full, for example.
    Write(io::Error),
}

impl OutputError {
    /// Whether it was found out before the work started.
    pub fn found_early(&self) -> bool {
        !matches!(self.kind, OutputErrorKind::Write(_))
    }

    fn new(path: &Path, kind: OutputErrorKind) -> Self {
        Self { path: path.to_owned(), kind }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.kind {
            OutputErrorKind::NotWritable(_) => write!(f, "{path}: cannot be written"),
            OutputErrorKind::NotAFile => write!(f, "{path}: is no file, so it is not overwritten"),
            OutputErrorKind::NotAFolder => write!(f, "{path}: is no folder"),
            OutputErrorKind::Write(_) => write!(f, "{path}: writing failed"),
        }
    }
}

impl Error for OutputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            OutputErrorKind::NotWritable(cause) | OutputErrorKind::Write(cause) => Some(cause),
            _ => None,
        }
    }
}

/// A file that is to be written at the end of the work.
#[derive(Debug)]
pub struct OutputFile {
    target: PathBuf,
    temporary: Temporary,
    folders: MadeFolders,
}

impl OutputFile {
    /// Makes sure that `target` can be written.
    ///
    /// # Errors
    /// When it cannot, or something other than a file is in the way.
    pub fn prepare(target: &Path) -> Result<Self, OutputError> {
        if fs::metadata(target).is_ok_and(|found| !found.is_file()) {
            return Err(OutputError::new(target, OutputErrorKind::NotAFile));
        }
        let folders = MadeFolders::down_to(parent(target))?;
        let temporary = Temporary::beside(target)?;
        Ok(Self { target: target.to_owned(), temporary, folders })
    }

    /// The file that is to be the output once it is whole: it exists, and is removed unless it is put in its place by
    /// [`write_with`](Self::write_with).
    pub fn temporary(&self) -> &Path {
        &self.temporary.0
    }

    /// The error of writing into it.
    pub fn failed(&self, cause: io::Error) -> OutputError {
        OutputError::new(&self.target, OutputErrorKind::Write(cause))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When that fails; nothing is left behind then.
    pub fn write(self, bytes: &[u8]) -> Result<(), OutputError> {
        self.write_with(|path| fs::write(path, bytes))
    }

    /// The same, with `write` writing to a path that it is given.
    ///
    /// # Errors
    /// When `write` fails, or the file cannot be moved to its place; nothing is left behind then.
    pub fn write_with(mut self, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), OutputError> {
        let failed = |cause| OutputError::new(&self.target, OutputErrorKind::Write(cause));
        let path = &self.temporary.0;
        write(path).map_err(failed)?;
        // On the disk before it is under its name, so that a crash leaves the old file or the whole new one.
        // Not every system lets a handle do so that only reads.
        File::options().append(true).open(path).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(path, &self.target).map_err(failed)?;
        self.folders.keep();
        Ok(())
    }
}

/// A folder that files are to be written into, each whole or not at all.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    folders: MadeFolders,
    /// The names of this run's files, in small letters: many file systems do not tell them apart.
    written: BTreeSet<String>,
}

impl OutputFolder {
    /// Makes the folder if there is none, and makes sure that files can be written into it.
    ///
    /// # Errors
    /// When they cannot, or something other than a folder is in the way.
    pub fn prepare(path: &Path) -> Result<Self, OutputError> {
        if fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Err(OutputError::new(path, OutputErrorKind::NotAFolder));
        }
        let folders = MadeFolders::down_to(path)?;
        // Gone again at once: only to see that it can be.
        Temporary::beside(&path.join("glocal"))?;
        Ok(Self { path: path.to_owned(), folders, written: BTreeSet::new() })
    }

    /// Writes a file into the folder, and says where it is: under another name where this run wrote one of that name before.
    ///
    /// # Errors
    /// When that fails, or something other than a file is in the way.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<PathBuf, OutputError> {
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let numbered = (2_usize..).map(|number| format!("{stem}-{number}.{extension}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        let name = names.find(|name| !self.written.contains(&name.to_lowercase())).unwrap_or_else(|| name.to_owned());
        let target = self.path.join(&name);
        OutputFile::prepare(&target)?.write(bytes)?;
        self.written.insert(name.to_lowercase());
        self.folders.keep();
        Ok(target)
    }
}

/// A file of a name that nobody else uses, removed unless it is renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn beside(target: &Path) -> Result<Self, OutputError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        // Short, as the target's own name may be as long as names can be.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent(target).join(format!(".glocal.{}-{number}.partial", std::process::id()));
        File::create(&path).map_err(|cause| OutputError::new(target, OutputErrorKind::NotWritable(cause)))?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing is there any more after the rename.
        let _ = fs::remove_file(&self.0);
    }
}

/// The folders that were made for an output, innermost first: removed, as far as they are empty, unless kept.
#[derive(Debug)]
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    fn down_to(path: &Path) -> Result<Self, OutputError> {
        let missing = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let made = Self(missing.map(Path::to_owned).collect());
        fs::create_dir_all(path).map_err(|cause| OutputError::new(path, OutputErrorKind::NotWritable(cause)))?;
        Ok(made)
    }

    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            // Fails where there is something in it, as it should.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// The folder that a path is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `text` as part of a file name: letters, digits and `.,-=@` stay, any run of other characters becomes one `_`.
pub fn file_name_part(text: &str) -> String {
    /// In bytes: two of these and something more stay under the 255 that file systems allow.
    const LONGEST: usize = 90;
    let mut name = String::new();
    for character in text.chars() {
        if character.is_alphanumeric() || ".,-=@".contains(character) {
            name.push(character);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_matches(['_', '.']);
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    // Both ends tell names apart.
    let (head, tail) = (LONGEST / 2, LONGEST - LONGEST / 2 - 1);
    let (head, tail) = (name.floor_char_boundary(head), name.ceil_char_boundary(name.len() - tail));
    format!("{}_{}", &name[..head], &name[tail..])
}

/// Whether a file's name ends in one of `extensions`, in capitals or not.
pub fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/deep/file.txt");
        let output = OutputFile::prepare(&target).unwrap();
        assert!(!target.exists());
        output.write(b"whole").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"whole");
        OutputFile::prepare(&target).unwrap().write(b"again").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"again");
        assert_eq!(names(target.parent().unwrap()), ["file.txt"]);
    }

    #[test]
    fn names_may_be_as_long_as_file_systems_allow() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x".repeat(255));
        let (first, second) = (OutputFile::prepare(&target).unwrap(), OutputFile::prepare(&target).unwrap());
        first.write(b"first").unwrap();
        second.write(b"second").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"second");
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn what_is_not_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        drop(OutputFile::prepare(&folder.path().join("a/b/file.txt")).unwrap());
        drop(OutputFolder::prepare(&folder.path().join("c/d")).unwrap());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn what_is_in_the_way_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        for error in [
            OutputFile::prepare(folder.path()).unwrap_err(),
            OutputFolder::prepare(&file).unwrap_err(),
            OutputFile::prepare(&file.join("below")).unwrap_err(),
        ] {
            assert!(error.found_early(), "{error}");
        }
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }

    #[test]
    fn file_names_keep_what_is_safe() {
        assert_eq!(file_name_part("target=46; features.40=50,51"), "target=46_features.40=50,51");
        assert_eq!(file_name_part("../../etc/passwd"), "etc_passwd");
        let long = |end: &str| file_name_part(&format!("{}{end}", "x".repeat(300)));
        assert_eq!((long("a").len(), long("a") == long("b")), (90, false));
        let wide = file_name_part(&"𠀀猫".repeat(90));
        assert!((80..=90).contains(&wide.len()), "{wide}");
    }

    /// Different names may become the same name of a file.
    #[test]
    fn no_file_of_a_run_replaces_another() {
        let parent = tempfile::tempdir().unwrap();
        let mut folder = OutputFolder::prepare(&parent.path().join("out")).unwrap();
        let names = ["a_b.png", "a_b.png", "A_B.png", "c.png"].map(|name| folder.write(name, name.as_bytes()).unwrap());
        let names = names.map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        assert_eq!(names, ["a_b.png", "a_b-2.png", "A_B-3.png", "c.png"]);
        assert_eq!(fs::read_dir(parent.path().join("out")).unwrap().count(), 4);
        // The files of runs before are replaced.
        let mut again = OutputFolder::prepare(&parent.path().join("out")).unwrap();
        assert!(again.write("a_b.png", b"new").unwrap().ends_with("a_b.png"));
    }
}
