import { fail, guardOutput } from './output.ts'
import { createProgram } from './program.ts'

// what a node writes is nobody else's business
process.umask(0o077)
guardOutput()
try {
  await createProgram(process.argv.slice(2)).parseAsync()
} catch (error) {
  fail(error as Error)
}
