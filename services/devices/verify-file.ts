import { isSignedBy } from '../../ledger/index.ts'
import { type Verdict, verifyExport } from './log/export.ts'

/** Checks an exported log without a node: what the host adds to a domain of this service is added here. */
export const verifyFile = (path: string, against?: string): Promise<Verdict> =>
  verifyExport(
    path,
    (peer, domain, bytes, signature) => isSignedBy(peer, `artel/devices/${domain}`, bytes, signature),
    against
  )
