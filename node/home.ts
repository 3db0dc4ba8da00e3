import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'

/** The data folder where nothing else is said. An empty HOME is none: the folder would be the current one. */
export const homeFolder = (): string => join(homedir() || userInfo().homedir, '.artel')
