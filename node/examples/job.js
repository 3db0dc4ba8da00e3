/** A job as a module: npm run artel -- run node/examples/job.js */
export default {
  type: 'map',
  range: { start: 1, end: 12 },
  fn: n => {
    let a = 0n
    let b = 1n
    for (let i = 0; i < n * 10; i++) [a, b] = [b, a + b]
    return `F(${n * 10}) = ${a}`
  }
}
