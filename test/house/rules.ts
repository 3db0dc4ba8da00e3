/** What `npm run check` holds the house to, besides types and lint: the only place where these rules stand. */
export interface Rules {
  /**
   * Who may import whom. A file belongs to the innermost room that its path lies in, and may import its own
   * room and what is named here: a room, a file, or all rooms of one level (`*`). Another top-level room, and a
   * service, is entered through its index.ts only.
   */
  rooms: Record<string, readonly string[]>
  /** A longer file is split. */
  maxLines: number
  /** The median over all files. */
  maxMedianLines: number
  /** Faults of today by their `key`, that are being mended. Nothing is added; what is mended is taken out. */
  known: readonly string[]
}

/** how messages are framed, how files outlive a power cut, and whether anything may leave this machine: known to all */
const shared = ['bootstrap/framing.ts', 'bootstrap/files.ts', 'bootstrap/way-out.ts']
/** what pages of services share */
const pages = [
  'confirm.tsx',
  'follow.ts',
  'frame.tsx',
  'rows.tsx',
  'use-loaded.ts',
  'one-at-a-time.ts',
  'qr.tsx'
].map(name => `services/host/page/${name}`)
const ledger = ['ledger/errors.ts', 'ledger/time.ts', ...shared]
const scheduler = ['scheduler/errors.ts', 'scheduler/contract.ts', 'sandbox', 'ledger', ...shared]
/** What says how values travel and how things are named; their indexes read every wall and every kind of task. */
const words = ['sandbox/value.ts', 'scheduler/words.ts', 'scheduler/tasks/types.ts']
const service = ['scheduler', 'ledger', 'sandbox', ...words, ...shared]
const node = ['node', 'bootstrap', 'sandbox', 'ledger', 'scheduler', 'services', ...words, ...shared]

export const rules: Rules = {
  rooms: {
    bootstrap: [],
    sandbox: [],

    ledger: ['ledger/*', ...shared],
    'ledger/records': ledger,
    'ledger/store': ['ledger/records', ...ledger],
    'ledger/book': ['ledger/records', ...ledger],
    'ledger/certify': ['ledger/records', 'ledger/book', 'ledger/store', ...ledger],
    'ledger/replicate': ['ledger/records', 'ledger/book', 'ledger/store', ...ledger],

    scheduler: ['scheduler/*', 'sandbox', 'ledger', ...shared],
    'scheduler/spaces': [],
    'scheduler/data': scheduler,
    'scheduler/protocol': ['scheduler/data', ...scheduler],
    'scheduler/trust': ['scheduler/data', ...scheduler],
    'scheduler/tasks': [
      'scheduler/spaces',
      'scheduler/data',
      'scheduler/protocol',
      'scheduler/trust',
      ...scheduler
    ],
    'scheduler/market': ['scheduler/tasks', 'scheduler/protocol', ...scheduler],
    'scheduler/coordinator': [
      'scheduler/trust',
      'scheduler/market',
      'scheduler/tasks',
      'scheduler/protocol',
      ...scheduler
    ],
    'scheduler/store': ['scheduler/data', 'scheduler/tasks', 'scheduler/trust', ...scheduler],
    'scheduler/streams': ['scheduler/data', 'scheduler/protocol', ...scheduler],
    'scheduler/worker': [
      'scheduler/data',
      'scheduler/protocol',
      'scheduler/trust',
      'scheduler/market',
      'scheduler/streams',
      ...scheduler
    ],
    'scheduler/jobs': [
      'scheduler/data',
      'scheduler/protocol',
      'scheduler/trust',
      'scheduler/tasks',
      'scheduler/market',
      'scheduler/coordinator',
      'scheduler/store',
      'scheduler/streams',
      ...scheduler
    ],

    services: ['services/*', ...service],
    'services/directory': service,
    'services/outbound': shared,
    'services/compute': ['services/host', 'services/outbound', ...service],
    'services/devices': ['services/host', 'services/outbound', ...pages, ...service],
    'services/watcher': ['services/host', 'services/outbound', ...pages, ...service],
    'services/host': ['services/directory', ...service],
    'services/core': ['services/host', 'services/directory', ...service],
    'services/gateway': [
      'services/host',
      'services/access',
      'services/compute',
      'services/core',
      'services/directory',
      ...pages,
      ...service
    ],
    'services/*': ['services/host', ...pages, ...service],

    node: ['node/*', ...node],
    'node/cli': ['node/vendor', ...node],
    'node/demo': ['node/cli', ...node],
    'node/examples': node,
    // the bundle of libraries, and what gives it to our files before any of them is read
    'node/vendor': [],
    // it runs in browsers: the codec, the spaces and the fields of authors need nothing, types are gone there
    'node/sdk': [
      'node',
      'services',
      'sandbox/value.ts',
      'scheduler/spaces/index.ts',
      'scheduler/tasks/authored.ts'
    ],

    // a node in a browser's page: of bootstrap what needs no Node, and the worker alone, which other commands need not load
    'node/tab': ['bootstrap/tab-options.ts', 'scheduler/create-lender.ts', ...node],

    test: ['*'],
    benchmarks: ['*']
  },
  maxLines: 500,
  maxMedianLines: 100,
  known: ['size sandbox/libm.ts', 'size sandbox/value.ts']
}
