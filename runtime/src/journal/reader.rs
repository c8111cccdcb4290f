//! Back from the file.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use super::bytes::Bytes;
use super::file::checksum;
use super::header::{Header, MAGIC};
use super::record::{Decoder, Record};
use super::{FORMAT, JournalError};

/// No block is longer; a length beyond this is no length.
const BLOCK_MAX: usize = 16 << 20;
/// Format 1 had no length under its checksums, so here they do not hold.
const FORMAT_OF_OTHER_SUMS: u64 = 1;

/// Why there are no more records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The run was asked to stop, and all of it is there.
    InOrder,
    /// The run ended otherwise, and all of it is there.
    Ended {
        /// What ended it.
        why: String,
    },
    /// The file ends between two blocks, without the word that the run ended: the program was killed, or journalling
    /// stopped.
    Unfinished,
    /// The file ends within a block: what came after was never written, or the block's length is damaged.
    Torn {
        /// Where the block begins.
        at_byte: u64,
    },
    /// The file cannot be read on.
    Unreadable {
        /// Where the reading ended.
        at_byte: u64,
        /// Why.
        why: ErrorKind,
    },
    /// A block is not what was written: its checksum is another, or its length is none.
    Corrupt {
        /// Where the block begins.
        at_byte: u64,
    },
    /// A block is what was written, and nothing that this program writes.
    Unknown {
        /// Where the block begins.
        at_byte: u64,
    },
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InOrder => write!(f, "ended in order"),
            Self::Ended { why } => write!(f, "ended by a fault: {why}"),
            Self::Unfinished => write!(f, "ends without a last word: the run was cut off, or journalling stopped"),
            Self::Torn { at_byte } => {
                write!(f, "torn at byte {at_byte}: the block was not written to its end, or its length is damaged")
            }
            Self::Unreadable { at_byte, why } => write!(f, "cannot be read beyond byte {at_byte}: {why}"),
            Self::Corrupt { at_byte } => write!(f, "corrupt at byte {at_byte}: a checksum does not hold"),
            Self::Unknown { at_byte } => write!(f, "the block at byte {at_byte} is nothing that this program writes"),
        }
    }
}

/// Reads a journal, record by record.
#[derive(Debug)]
pub struct Reader<R = BufReader<File>> {
    header: Header,
    blocks: Blocks<R>,
    decoder: Decoder,
    records: std::vec::IntoIter<Record>,
    ending: Option<Ending>,
}

impl Reader {
    /// Opens a journal and reads its header.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read, is no journal, or has a damaged or foreign header.
    pub fn open(file: &Path) -> Result<Self, JournalError> {
        let open = File::open(file).map_err(|source| JournalError::File { file: file.to_owned(), source })?;
        Self::of(BufReader::new(open), file)
    }
}

impl<R: Read> Reader<R> {
    /// Reads a journal from anywhere; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn of(from: R, name: &Path) -> Result<Self, JournalError> {
        let mut blocks = Blocks { from, at_byte: 0, block: Vec::new() };
        let mut magic = [0; MAGIC.len()];
        let unreadable = |why: ErrorKind| JournalError::File { file: name.to_owned(), source: why.into() };
        if blocks.fill(&mut magic).map_err(unreadable)? != magic.len() || magic != MAGIC {
            return Err(JournalError::NotAJournal(name.to_owned()));
        }
        let broken = || JournalError::NoHeader(name.to_owned());
        let foreign = |found| JournalError::Format { file: name.to_owned(), found, expected: FORMAT };
        if let Err(ending) = blocks.next() {
            return Err(match (ending, Bytes(&blocks.block).get()) {
                (Ending::Unreadable { why, .. }, _) => unreadable(why),
                (Ending::Corrupt { .. }, Some(FORMAT_OF_OTHER_SUMS)) => foreign(FORMAT_OF_OTHER_SUMS),
                _ => broken(),
            });
        }
        let header = Header::decode(&mut Bytes(&blocks.block)).ok_or_else(broken)?.map_err(foreign)?;
        let decoder = Decoder::new(header.shape);
        Ok(Self { header, blocks, decoder, records: Vec::new().into_iter(), ending: None })
    }

    /// What stands before the records.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Why there are no more records; `None` while there may be some.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending.clone()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blocks.at_byte
    }

    /// The records of the next block, or the ending.
    fn block(&mut self) -> Result<Vec<Record>, Ending> {
        let at_byte = self.blocks.at_byte;
        self.blocks.next()?;
        let (mut bytes, mut records) = (Bytes(&self.blocks.block), Vec::new());
        while !bytes.is_empty() {
            records.push(self.decoder.record(&mut bytes).ok_or(Ending::Unknown { at_byte })?);
        }
        Ok(records)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.records.next() {
                if let Record::End { why, .. } = &record {
                    let asked = why.is_empty();
                    self.ending = Some(if asked { Ending::InOrder } else { Ending::Ended { why: why.clone() } });
                }
                return Some(record);
            }
            if self.ending.is_some() {
                return None;
            }
            match self.block() {
                Ok(records) => self.records = records.into_iter(),
                Err(ending) => self.ending = Some(ending),
            }
        }
    }
}

/// Blocks of a file, each checked.
#[derive(Debug)]
struct Blocks<R> {
    from: R,
    at_byte: u64,
    block: Vec<u8>,
}

impl<R: Read> Blocks<R> {
    /// Reads the next block into `self.block`.
    fn next(&mut self) -> Result<(), Ending> {
        let at_byte = self.at_byte;
        let mut head = [0; 8];
        match self.fill(&mut head).map_err(|why| self.unreadable(why))? {
            0 => return Err(Ending::Unfinished),
            8 => {}
            _ => return Err(Ending::Torn { at_byte }),
        }
        let [a, b, c, d, e, f, g, h] = head;
        let (length, sum) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        // Nobody writes an empty block; eight zeros are what a file system leaves where nothing was written.
        if size == 0 || size > BLOCK_MAX {
            return Err(Ending::Corrupt { at_byte });
        }
        let mut block = std::mem::take(&mut self.block);
        block.resize(size, 0);
        let filled = self.fill(&mut block);
        self.block = block;
        if filled.map_err(|why| self.unreadable(why))? < size {
            return Err(Ending::Torn { at_byte });
        }
        if checksum(length, &self.block) != sum {
            return Err(Ending::Corrupt { at_byte });
        }
        Ok(())
    }

    fn unreadable(&self, why: ErrorKind) -> Ending {
        Ending::Unreadable { at_byte: self.at_byte, why }
    }

    /// Reads as much of `to` as there is, and says how much that was.
    fn fill(&mut self, to: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut filled = 0;
        while let Some(rest) = to.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) => break,
                Ok(n) => {
                    filled += n;
                    self.at_byte += n as u64;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.kind()),
            }
        }
        Ok(filled)
    }
}
