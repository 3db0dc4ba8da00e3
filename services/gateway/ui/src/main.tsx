import { Shell } from './shell.tsx'
import { start } from './start.tsx'

start(<Shell />)
