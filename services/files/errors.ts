/** What was asked for is neither a CID nor a name that is known here. */
export class UnknownFileError extends Error {
  override readonly name = 'UnknownFileError'
}

/** A name that cannot be the name of a file on every system, or is a CID. */
export class FileNameError extends Error {
  override readonly name = 'FileNameError'
}

/** A path on this machine that cannot be read or written as asked. */
export class FilePathError extends Error {
  override readonly name = 'FilePathError'
}

/** A DAG that is not UnixFS as it must be, or goes beyond a limit: too deep, too wide, too large. */
export class DagError extends Error {
  override readonly name = 'DagError'
}

/** A quota of this node is used up; nothing of what was there is lost. */
export class QuotaError extends Error {
  override readonly name = 'QuotaError'
}

/** The disk is full; nothing of what was there is lost. */
export class DiskFullError extends Error {
  override readonly name = 'DiskFullError'
}

/** A block is neither here nor with any peer that answers. */
export class BlockMissingError extends Error {
  override readonly name = 'BlockMissingError'
}

/** A peer gives blocks to as many others as it may, and will again soon. */
export class CrowdedError extends Error {
  override readonly name = 'CrowdedError'
}

/** A range that the file does not have. */
export class FileRangeError extends Error {
  override readonly name = 'FileRangeError'
}
