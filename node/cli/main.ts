import { fail } from './output.ts'
import { createProgram } from './program.ts'

// what a node writes is nobody else's business
process.umask(0o077)
try {
  await createProgram().parseAsync()
} catch (error) {
  fail(error as Error)
}
