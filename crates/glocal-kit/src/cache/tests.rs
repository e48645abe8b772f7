//! Entries are whole or absent, and the least recently used go first.

use super::*;

fn key(number: u64) -> Key {
    let mut hasher = KeyHasher::new("test 1");
    hasher.number(number);
    hasher.finish()
}

/// So large that what an entry needs besides can be left out of account.
const CONTENT: usize = 10_000;

fn content(number: u64) -> Vec<u8> {
    vec![number as u8; CONTENT]
}

fn set_age(cache: &Cache, number: u64, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    let file = File::options().append(true).open(cache.path(key(number))).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn found(cache: &Cache, numbers: std::ops::Range<u64>) -> Vec<u64> {
    // Looking is not using: paths are, not entries.
    numbers.filter(|number| cache.path(key(*number)).exists()).collect()
}

#[test]
fn what_was_kept_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path().join("deep/cache"), 1 << 20).unwrap();
    assert_eq!(cache.find(key(1)), None);
    for content in [&b""[..], b"one", &content(7)] {
        cache.keep(key(1), content).unwrap();
        assert_eq!(cache.find(key(1)).as_deref(), Some(content));
    }
    assert_eq!(cache.find(key(2)), None);
    let again = Cache::open(cache.folder(), 1 << 20).unwrap();
    assert_eq!(again.find(key(1)), Some(content(7)));
    assert_eq!(again.bytes(), cache.bytes());
}

/// Every cut, and every changed byte.
#[test]
fn damaged_entries_are_removed_and_never_believed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), 1 << 20).unwrap();
    cache.keep(key(1), b"content").unwrap();
    let path = cache.path(key(1));
    let whole = fs::read(&path).unwrap();
    let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
    let changed = (0..whole.len()).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    });
    let longer = [whole.iter().copied().chain([0]).collect(), Vec::new()];
    for damaged in cuts.chain(changed).chain(longer) {
        fs::write(&path, &damaged).unwrap();
        assert_eq!(cache.find(key(1)), None, "{} of {} bytes", damaged.len(), whole.len());
        assert!(!path.exists());
    }
    // Nor is an entry under another name.
    cache.keep(key(1), b"content").unwrap();
    fs::create_dir_all(cache.path(key(2)).parent().unwrap()).unwrap();
    fs::copy(&path, cache.path(key(2))).unwrap();
    assert_eq!((cache.find(key(2)), cache.find(key(1)).as_deref()), (None, Some(&b"content"[..])));
}

#[test]
fn the_least_recently_used_go_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), 10 * CONTENT as u64).unwrap();
    for number in 0..9 {
        cache.keep(key(number), &content(number)).unwrap();
        set_age(&cache, number, 1000 - number);
    }
    assert_eq!(found(&cache, 0..9), (0..9).collect::<Vec<_>>());
    // The oldest is used once more.
    assert!(cache.find(key(0)).is_some());
    cache.keep(key(9), &content(9)).unwrap();
    assert_eq!(found(&cache, 0..10), [0, 3, 4, 5, 6, 7, 8, 9]);
    assert!(cache.bytes() <= 9 * CONTENT as u64);
    // A smaller bound holds from the start, and what is larger than all room is not kept.
    let small = Cache::open(folder.path(), 3 * CONTENT as u64).unwrap();
    assert_eq!(found(&small, 0..10), [0, 9]);
    small.keep(key(20), &vec![1; 4 * CONTENT]).unwrap();
    assert_eq!(found(&small, 0..21), [0, 9]);
}

#[test]
fn other_files_and_those_under_way_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), 10 * CONTENT as u64).unwrap();
    cache.keep(key(1), &content(1)).unwrap();
    let below = cache.path(key(1)).parent().unwrap().to_owned();
    let (mine, fresh, old) = (folder.path().join("mine"), below.join("a.1-0.partial"), below.join("b.1-0.partial"));
    for path in [&mine, &fresh, &old] {
        fs::write(path, content(2)).unwrap();
    }
    let long_ago = FileTimes::new().set_modified(SystemTime::now() - 2 * ABANDONED);
    File::options().append(true).open(&old).unwrap().set_times(long_ago).unwrap();
    drop(Cache::open(folder.path(), 0).unwrap());
    assert!(mine.exists() && fresh.exists() && !old.exists() && !cache.path(key(1)).exists());
}

/// As several processes do, each with a count of its own.
#[test]
fn many_at_once_lose_nothing_and_stay_within_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let room = 20 * CONTENT as u64;
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let folder = folder.path();
            scope.spawn(move || {
                let cache = Cache::open(folder, room).unwrap();
                for step in 0..60 {
                    // Half of the keys are everybody's.
                    let number = if step % 2 == 0 { step } else { 1000 * worker + step };
                    cache.keep(key(number), &content(number)).unwrap();
                    let found = cache.find(key(number));
                    assert!(found.is_none_or(|found| found == content(number)));
                }
            });
        }
    });
    let cache = Cache::open(folder.path(), u64::MAX).unwrap();
    // Each of the others may not have seen what the last one kept.
    assert!(cache.bytes() <= room + 4 * 2 * CONTENT as u64, "{}", cache.bytes());
    assert!(walk(folder.path()).iter().all(|path| path.extension().is_some_and(|extension| extension == ENTRY)));
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    files.filter(|file| file.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Cache::open(&file, 1).unwrap_err();
    assert_eq!((error.kind(), error.path()), (CacheErrorKind::Open, file.as_path()));
}
