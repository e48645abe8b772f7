//! Damage of the protobuf wire format: field numbers, wire types, lengths and nesting, wherever they are in the file.
//!
//! No schema is needed: a block that reads as a message is taken for one.

use crate::random::Random;

/// How deep blocks are looked into.
const DEPTH: usize = 8;

/// One field.
#[derive(Clone, Debug)]
struct Field {
    number: u64,
    wire_type: u8,
    content: Content,
    /// What the length says too much, where the field has one.
    excess: i64,
}

#[derive(Clone, Debug)]
enum Content {
    Varint(u64),
    Fixed(Vec<u8>),
    Block(Vec<u8>),
    Message(Vec<Field>),
}

/// Changes one to three fields; files that are no protobuf stay as they are.
pub(super) fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let Some(mut fields) = parse(bytes, DEPTH) else { return };
    for _ in 0..=random.below(3) {
        let foreign = || parse(other, DEPTH);
        change(&mut fields, &foreign, random);
    }
    bytes.clear();
    write(&fields, bytes);
}

fn change(fields: &mut Vec<Field>, foreign: &dyn Fn() -> Option<Vec<Field>>, random: &mut Random) {
    // Down to some message, each level with a chance of its own.
    let at = random.below(fields.len());
    if let Some(Field { content: Content::Message(inner), .. }) = fields.get_mut(at)
        && !inner.is_empty()
        && !random.once_in(4)
    {
        return change(inner, foreign, random);
    }
    let Some(field) = fields.get_mut(at) else { return };
    match random.below(11) {
        0 => field.number = [1, 2, 3, 5, 7, 9, 14, 20, 1 << 28, 1 << 40, 0][random.below(11)],
        1 => field.wire_type = random.below(8) as u8,
        2 => field.excess = [1, -1, 100, i64::from(i32::MAX), i64::MAX, i64::MIN, 1 << 33][random.below(7)],
        3 => {
            let copy = field.clone();
            let count = if random.once_in(5) { 1000 } else { 1 };
            fields.splice(at..at, std::iter::repeat_n(copy, count));
        }
        4 => drop(fields.remove(at)),
        5 => {
            let to = random.below(fields.len());
            fields.swap(at, to);
        }
        6 => {
            let moved = fields.remove(at);
            let to = random.below(fields.len());
            match fields.get_mut(to) {
                Some(Field { content: Content::Message(inner), .. }) => inner.push(moved),
                _ => fields.push(moved),
            }
        }
        7 => {
            let Some(mut theirs) = foreign() else { return };
            while let Some(index) = (!theirs.is_empty()).then(|| random.below(theirs.len())) {
                match theirs.swap_remove(index) {
                    Field { content: Content::Message(inner), .. } if !random.once_in(3) => theirs = inner,
                    field => return fields.insert(at, field),
                }
            }
        }
        8 => {
            // The field inside of itself, many times.
            for _ in 0..[2, 20, 90, 110, 400][random.below(5)] {
                let inner = vec![field.clone()];
                field.content = Content::Message(inner);
                field.wire_type = 2;
                field.excess = 0;
                if size(std::slice::from_ref(field)) > 1 << 16 {
                    break;
                }
            }
        }
        _ => match &mut field.content {
            Content::Varint(value) => *value = random.near(*value as i64) as u64,
            Content::Fixed(bytes) | Content::Block(bytes) => {
                let length = bytes.len();
                match random.below(4) {
                    0 => bytes.truncate(random.below(length + 1)),
                    1 => bytes.extend(std::iter::repeat_n(random.below(256) as u8, 1 + random.below(20))),
                    2 => bytes.clear(),
                    _ if length > 0 => bytes[random.below(length)] = random.below(256) as u8,
                    _ => {}
                }
            }
            Content::Message(inner) => inner.clear(),
        },
    }
}

/// The fields of a message, if the bytes are one.
fn parse(bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let (number, wire_type) = (tag >> 3, (tag & 7) as u8);
        let content = match wire_type {
            0 => Content::Varint(varint(&mut rest)?),
            1 => Content::Fixed(rest.split_off(..8)?.to_vec()),
            5 => Content::Fixed(rest.split_off(..4)?.to_vec()),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let block = rest.split_off(..length)?;
                let inner = if depth > 0 && block.len() > 1 { parse(block, depth - 1) } else { None };
                inner.map_or_else(|| Content::Block(block.to_vec()), Content::Message)
            }
            _ => return None,
        };
        if number == 0 || number > 64 {
            return None;
        }
        fields.push(Field { number, wire_type, content, excess: 0 });
    }
    Some(fields)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn size(fields: &[Field]) -> usize {
    let mut bytes = Vec::new();
    write(fields, &mut bytes);
    bytes.len()
}

fn write(fields: &[Field], bytes: &mut Vec<u8>) {
    for field in fields {
        prost::encoding::encode_varint(field.number << 3 | u64::from(field.wire_type & 7), bytes);
        let mut block = Vec::new();
        match &field.content {
            Content::Varint(value) => prost::encoding::encode_varint(*value, &mut block),
            Content::Fixed(content) | Content::Block(content) => block.extend_from_slice(content),
            Content::Message(inner) => write(inner, &mut block),
        }
        if matches!(field.content, Content::Block(_) | Content::Message(_)) {
            prost::encoding::encode_varint((block.len() as i64).wrapping_add(field.excess) as u64, bytes);
        }
        bytes.append(&mut block);
    }
}
