/** The tiny task as plain JavaScript; a file of its own, because the thread pools load it in their threads. */
export default function tiny() {
  let sum = 0
  for (let x = 1; x <= 1000; x++) sum += x
  return sum
}
