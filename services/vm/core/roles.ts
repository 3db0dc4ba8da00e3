import type { Role } from '../contract.ts'

/** Everything that can be asked of one machine. */
export type Action =
  | 'see'
  | 'watch-console'
  | 'write-console'
  | 'forward'
  | 'power'
  | 'snapshot'
  | 'resize'
  | 'disks'
  | 'authenticate'
  | 'grant'
  | 'remove'
  | 'move'
  | 'export'

const VIEWER: readonly Action[] = ['see', 'watch-console']
const OPERATOR: readonly Action[] = [...VIEWER, 'write-console', 'forward', 'power', 'snapshot', 'resize']

/** May this role do it? The owner may do everything, nobody else may do what is not named here. */
export function mayDo(role: Role, action: Action): boolean {
  if (role === 'owner') return true
  return (role === 'operator' ? OPERATOR : VIEWER).includes(action)
}
