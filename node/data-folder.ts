/** What a part of the data folder is made of; decides how it is looked at and mended (examine-data.ts, repair-data.ts). */
export type DataKind =
  | 'lock'
  | 'made-at-start'
  | 'key'
  | 'network'
  | 'json'
  | 'token'
  | 'sqlite'
  | 'level'
  | 'files'

/** A file or folder in the data folder. */
export interface DataPart {
  /** in the data folder */
  path: string
  kind: DataKind
  holds: string
  /** what it means for credits and jobs when it is lost */
  loss: string
  /** What follows when it is put aside; undefined: nothing can make it again. */
  remedy: string | undefined
  /** Every folder that was used has it: it is made before the parts that follow. */
  isExpected?: true
}

const NOTHING_LOST = 'no credits and no jobs are lost'
const MADE_AGAIN = 'the next start makes it again'

/**
 * Everything that a node keeps in its data folder, in the order in which it is made. Start-up, `artel doctor` and the
 * tests go through this list; a file that is not in it is nobody's.
 */
export const DATA_PARTS: readonly DataPart[] = [
  {
    path: 'lock',
    kind: 'lock',
    holds: 'nothing; it keeps a second node out of the folder',
    loss: NOTHING_LOST,
    remedy: MADE_AGAIN
  },
  {
    path: 'pid',
    kind: 'made-at-start',
    holds: 'the number of the running process',
    loss: NOTHING_LOST,
    remedy: MADE_AGAIN
  },
  // before a node ran there is one where it was told what to try
  {
    path: 'releases',
    kind: 'files',
    holds: 'the programs that were put in the place of the installed one',
    loss: NOTHING_LOST,
    remedy: 'what was installed runs; artel update brings the other one again'
  },
  {
    path: 'key',
    kind: 'key',
    holds: 'the identity of this node, which is its account',
    loss: 'without it nobody can spend the credits of the account, and a witness has no vote',
    remedy: undefined,
    isExpected: true
  },
  {
    path: 'network.json',
    kind: 'network',
    holds: 'which network this node belongs to',
    loss: NOTHING_LOST,
    remedy:
      'the next start takes it from --network or a seed; a network of this machine alone is founded again under its name'
  },
  {
    path: 'seeds.json',
    kind: 'json',
    holds: 'the seeds that were asked for the network',
    loss: NOTHING_LOST,
    remedy: 'give the next start a --seed'
  },
  {
    path: 'config.json',
    kind: 'json',
    holds: 'the settings that were changed',
    loss: NOTHING_LOST,
    remedy: 'the defaults hold again; change them with: artel config set'
  },
  {
    path: 'datastore',
    kind: 'level',
    holds: 'addresses of peers and what is pinned',
    loss: NOTHING_LOST,
    remedy: 'what is readable is kept; peers are found again through the seeds'
  },
  {
    path: 'blocks',
    kind: 'level',
    holds: 'data that was added here, and results by CID',
    loss: 'no credits are lost; jobs that name lost data by CID need it added again',
    remedy: 'what is readable is kept'
  },
  {
    path: 'block-files',
    kind: 'files',
    holds: 'the large blocks of that data',
    loss: 'no credits are lost; jobs that name lost data by CID need it added again',
    remedy: MADE_AGAIN
  },
  {
    path: 'ledger/ledger.sqlite',
    kind: 'sqlite',
    holds: 'the orders of this account and its copy of the book; on a witness also what it signed',
    loss: 'credits are safe: the witnesses tell this account its orders before it signs another; a witness that forgot what it signed could sign a second order with one number, so that a network of one witness needs a copy of this file',
    remedy: 'what is readable is kept, the rest comes from the witnesses',
    isExpected: true
  },
  {
    path: 'jobs.sqlite',
    kind: 'sqlite',
    holds: 'the jobs of this node, accepted slices and results',
    loss: 'jobs in lost rows do not go on; what they reserved is given back',
    remedy: 'what is readable is kept',
    isExpected: true
  },
  {
    path: 'values',
    kind: 'files',
    holds: 'large inputs and results of jobs',
    loss: 'a job whose value is lost says so; no other is touched',
    remedy: MADE_AGAIN
  },
  {
    path: 'gateway.sqlite',
    kind: 'sqlite',
    holds: 'which requests with an idempotency key were answered',
    loss: 'no credits are lost; a client that repeats an old request submits its job once more',
    remedy: 'what is readable is kept'
  },
  {
    path: 'webhooks.sqlite',
    kind: 'sqlite',
    holds: 'whose webhooks are to be told how jobs ended, and what they were not told yet',
    loss: 'no credits and no jobs are lost; receivers are not told of the jobs before',
    remedy: 'what is readable is kept'
  },
  {
    path: 'gateway.json',
    kind: 'made-at-start',
    holds: 'where the HTTP API listens',
    loss: NOTHING_LOST,
    remedy: MADE_AGAIN
  },
  {
    path: 'gateway-token',
    kind: 'token',
    holds: "the owner's token for the HTTP API and the dashboard",
    loss: NOTHING_LOST,
    remedy: 'the next start makes another; programs that use the old one need it'
  },
  {
    path: 'gateway-tokens.json',
    kind: 'json',
    holds: 'the hashes of all other tokens',
    loss: NOTHING_LOST,
    remedy: 'the tokens in it end; make new ones for their holders'
  },
  {
    path: 'accounts.sqlite',
    kind: 'sqlite',
    holds: 'people with their roles, hashes of passwords and sessions, secrets of second factors',
    loss: 'no credits or jobs are lost; people in lost rows need a new invitation',
    remedy: 'what is readable is kept; everybody signs in again'
  },
  {
    path: 'services',
    kind: 'files',
    holds: 'a folder for each service that was switched on',
    loss: 'no credits or jobs are lost; what a service kept is, and its state says so',
    remedy: 'a service makes its folder again'
  },
  {
    path: 'control.sock',
    kind: 'made-at-start',
    holds: 'the way from the command line to the running node',
    loss: NOTHING_LOST,
    remedy: MADE_AGAIN
  }
]
