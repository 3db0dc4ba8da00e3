import type { AbortOptions } from '@libp2p/interface'
import type { Range } from './read.ts'

/** What other services get by `needs: ['files']`. A file is a CID, or a name that this node gave it. */
export interface Files {
  /** Keeps a stream of bytes. Throws QuotaError, DiskFullError, FileNameError; nothing stays then. */
  add(bytes: AsyncIterable<Uint8Array>, options?: AddOptions): Promise<Added>
  /** Makes sure that all of it is here, from whoever has it. Throws BlockMissingError, DagError, QuotaError. */
  fetch(file: string, options?: ProgressOptions): Promise<FileInfo>
  /** The bytes of a file, or of a range of it, fetched first where they are not here. */
  read(file: string, options?: ReadOptions): Promise<Opened>
  /** Keeps it here and on `replicas` other nodes from now on, until `unpin`. */
  pin(file: string, options?: ProgressOptions & { replicas?: number }): Promise<FileInfo>
  /** Lets it go here and on the nodes that hold it; a name with all its versions. */
  unpin(file: string): Promise<void>
  info(file: string): FileInfo
}

export interface ProgressOptions extends AbortOptions {
  onProgress?(progress: Progress): void
}

export interface AddOptions extends ProgressOptions {
  /** default: none, then only its CID names it */
  name?: string
  /** copies on other nodes; default: as the setting says */
  replicas?: number
  /** bytes to come, where known, for the progress */
  size?: number
}

export interface ReadOptions extends AbortOptions {
  /** of a name; default: the newest */
  version?: number
  range?: Range
  /** names from the root to a file in a folder */
  path?: readonly string[]
}

export interface Progress {
  /** bytes; `total` where it is known */
  done: number
  total?: number
}

export interface Added {
  cid: string
  type: 'file' | 'folder'
  size: number
  name?: string
  /** counts up with each new content of one name */
  version?: number
}

export interface Opened {
  cid: string
  /** of the whole file */
  size: number
  bytes: AsyncIterable<Uint8Array>
}

export interface FilePage {
  items: FileInfo[]
  /** cursor of the next page; none: this is the last */
  next?: string
}

export interface FileInfo {
  cid: string
  type: 'file' | 'folder'
  size: number
  /** names that this node gave it, the newest first, at most ten */
  names: { name: string; version: number; at: number }[]
  /** bytes that it takes of the quota */
  cost: number
  blocks: number
  isWhole: boolean
  pinned: boolean
  /** ms since 1970, of the last time that it was said */
  pinnedAt?: number
  /** copies on other nodes: how many shall be, and those that proved themselves */
  replicas: { wanted: number; proved: number }
  holders: HolderInfo[]
}

export interface HolderInfo {
  peer: string
  state: 'asked' | 'copying' | 'held' | 'proved'
  bytes: number
  /** ms since 1970 of its last answer and last right proof */
  seenAt: number
  provedAt?: number
}
