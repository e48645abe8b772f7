//! Damage that knows nothing of the format: what disks, networks and editors do to files.

use crate::random::Random;

/// Changes the bytes in one to five places.
pub(super) fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(5) {
        let at = random.below(bytes.len());
        if bytes.is_empty() {
            bytes.push(random.below(256) as u8);
        }
        match random.below(9) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.below(256) as u8,
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, [0xff, 0x00, 0x80, 0x7f][random.below(4)]),
            5 => {
                let piece = piece(bytes, random).to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                let piece = piece(other, random).to_vec();
                let end = (at + piece.len()).min(bytes.len());
                bytes.splice(at..end, piece);
            }
            7 => drop(bytes.drain(at..(at + 1 + random.below(60)).min(bytes.len()))),
            _ if random.once_in(4) => bytes.truncate(at),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
}

/// The first part of one file and the last of another.
pub(super) fn splice(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    bytes.truncate(random.below(bytes.len() + 1));
    bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
}

fn piece<'a>(bytes: &'a [u8], random: &mut Random) -> &'a [u8] {
    let at = random.below(bytes.len());
    bytes.get(at..(at + 1 + random.below(60)).min(bytes.len())).unwrap_or_default()
}
