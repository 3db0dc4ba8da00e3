/**
 * The functions of Math whose last bit ECMAScript leaves open, so that every worker gives the same bits.
 * Only + − × ÷ and √ are used, which IEEE 754 fixes. After fdlibm (Sun Microsystems 1993, "Developed at SunSoft, a
 * Sun Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software is freely granted,
 * provided that this notice is preserved") with the log2, log10 and cbrt of FreeBSD msun; the reduction of large angles and integer
 * powers are ours. Errors stay below 1 ulp, below 3 for the hyperbolic functions and hypot (test/sandbox/libm.spec.ts).
 *
 * One self-contained function: it runs inside the isolate by its source text.
 */
export function libm() {
  const { sqrt, abs, floor, trunc, PI, E, LN2, LOG2E } = Math
  const isNan = Number.isNaN
  const toNumber = Number
  const toBig = BigInt
  const f64 = new Float64Array(1)
  const words = new Int32Array(f64.buffer) // [low, high]; both our architectures are little endian

  function high(x: number) {
    f64[0] = x
    return words[1]!
  }
  function withHigh(x: number, h: number) {
    f64[0] = x
    words[1] = h
    return f64[0]
  }
  /** x with the lower half of its bits cleared */
  function upper(x: number) {
    f64[0] = x
    words[0] = 0
    return f64[0]
  }
  /** 2^n for -1022 ≤ n ≤ 1023 */
  function power2(n: number) {
    words[0] = 0
    words[1] = (n + 1023) << 20
    return f64[0]!
  }
  function scale(x: number, n: number) {
    if (n > 1023) return n > 2046 ? x * power2(1023) * power2(1023) * 2 : x * power2(1023) * power2(n - 1023)
    // in this order only the last product can be subnormal, so it is rounded once
    if (n < -1022) return n < -2000 ? x * 0 : x * power2(n + 969) * power2(-969)
    return x * power2(n)
  }

  const LN2_HI = 0.6931471803691238
  const LN2_LO = 1.9082149292705877e-10

  function exp(x: number): number {
    if (isNan(x)) return x
    if (x > 709.782712893384) return Infinity
    if (x < -745.1332191019411) return 0
    if (x === 1) return E
    const size = abs(x)
    let hi = 0
    let lo = 0
    let k = 0
    if (size > 0.34657359027997264) {
      k = size < 1.0397207708399179 ? (x < 0 ? -1 : 1) : trunc(LOG2E * x + (x < 0 ? -0.5 : 0.5))
      hi = x - k * LN2_HI
      lo = k * LN2_LO
      x = hi - lo
    } else if (size < 3.725290298461914e-9) {
      return 1 + x
    }
    const t = x * x
    const c =
      x -
      t *
        (0.16666666666666602 +
          t *
            (-0.0027777777777015593 +
              t * (6.613756321437934e-5 + t * (-1.6533902205465252e-6 + t * 4.1381367970572385e-8))))
    if (k === 0) return 1 - ((x * c) / (c - 2) - x)
    return scale(1 - (lo - (x * c) / (2 - c) - hi), k)
  }

  function expm1(x: number): number {
    if (isNan(x) || x === 0) return x
    if (x > 709.782712893384) return Infinity
    if (x < -38.816242) return -1 // below -56 ln 2
    let k = 0
    let c = 0
    const size = abs(x)
    if (size > 0.34657359027997264) {
      k = size < 1.0397207708399179 ? (x < 0 ? -1 : 1) : trunc(LOG2E * x + (x < 0 ? -0.5 : 0.5))
      const hi = x - k * LN2_HI
      const lo = k * LN2_LO
      x = hi - lo
      c = hi - x - lo
    } else if (size < 5.551115123125783e-17) {
      return x
    }
    const hfx = 0.5 * x
    const hxs = x * hfx
    const r1 =
      1 +
      hxs *
        (-0.03333333333333313 +
          hxs *
            (0.0015873015872548146 +
              hxs * (-7.93650757867488e-5 + hxs * (4.008217827329362e-6 + hxs * -2.0109921818362437e-7))))
    let t = 3 - r1 * hfx
    let e = hxs * ((r1 - t) / (6 - x * t))
    if (k === 0) return x - (x * e - hxs)
    e = x * (e - c) - c
    e -= hxs
    if (k === -1) return 0.5 * (x - e) - 0.5
    if (k === 1) return x < -0.25 ? -2 * (e - (x + 0.5)) : 1 + 2 * (x - e)
    if (k <= -2 || k > 56) return scale(1 - (e - x), k) - 1
    if (k < 20) {
      t = 1 - power2(-k)
      return scale(t - (e - x), k)
    }
    t = power2(-k)
    return scale(x - (e + t) + 1, k)
  }

  const LG1 = 0.6666666666666735
  const LG2 = 0.3999999999940942
  const LG3 = 0.2857142874366239
  const LG4 = 0.22222198432149784
  const LG5 = 0.1818357216161805
  const LG6 = 0.15313837699209373
  const LG7 = 0.14798198605116586

  /** the tail of log(1 + f) beyond f - f²/2 */
  function logTail(f: number, halfSquare: number) {
    const s = f / (2 + f)
    const z = s * s
    const w = z * z
    const t1 = w * (LG2 + w * (LG4 + w * LG6))
    const t2 = z * (LG1 + w * (LG3 + w * (LG5 + w * LG7)))
    return s * (halfSquare + (t1 + t2))
  }

  // x = 2^k (1 + f) with f between √½ - 1 and √2 - 1
  let exponent = 0
  function fraction(x: number) {
    exponent = 0
    if (x < 2.2250738585072014e-308) {
      exponent = -54
      x *= 1.8014398509481984e16
    }
    let hx = high(x)
    exponent += (hx >> 20) - 1023
    hx &= 0xfffff
    const i = (hx + 0x95f64) & 0x100000
    exponent += i >> 20
    return withHigh(x, hx | (i ^ 0x3ff00000)) - 1
  }

  function log(x: number): number {
    if (isNan(x) || x === Infinity) return x
    if (x <= 0) return x === 0 ? -Infinity : NaN
    const f = fraction(x)
    const k = exponent
    const halfSquare = 0.5 * f * f
    return k * LN2_HI - (halfSquare - (logTail(f, halfSquare) + k * LN2_LO) - f)
  }

  function log2(x: number): number {
    if (isNan(x) || x === Infinity) return x
    if (x <= 0) return x === 0 ? -Infinity : NaN
    const f = fraction(x)
    const k = exponent
    const halfSquare = 0.5 * f * f
    const hi = upper(f - halfSquare)
    const lo = f - hi - halfSquare + logTail(f, halfSquare)
    const valueHi = hi * 1.4426950407214463
    const valueLo = (lo + hi) * 1.6751713164886512e-10 + lo * 1.4426950407214463
    const w = k + valueHi
    return valueLo + (k - w + valueHi) + w
  }

  function log10(x: number): number {
    if (isNan(x) || x === Infinity) return x
    if (x <= 0) return x === 0 ? -Infinity : NaN
    const f = fraction(x)
    const k = exponent
    const halfSquare = 0.5 * f * f
    const hi = upper(f - halfSquare)
    const lo = f - hi - halfSquare + logTail(f, halfSquare)
    const valueHi = hi * 0.4342944818781689
    const y = k * 0.30102999566361177
    const w = y + valueHi
    const valueLo = k * 3.694239077158931e-13 + (lo + hi) * 2.5082946711645275e-11 + lo * 0.4342944818781689
    return valueLo + (y - w + valueHi) + w
  }

  function log1p(x: number): number {
    if (isNan(x) || x === Infinity || x === 0) return x
    if (x <= -1) return x === -1 ? -Infinity : NaN
    if (abs(x) < 5.551115123125783e-17) return x
    let k = 0
    let f = x
    let c = 0
    if (x >= 0.41421356237309503 || x <= -0.2928932188134525) {
      const u = 1 + x
      f = fraction(u)
      k = exponent
      // what was lost in 1 + x
      c = k < 54 ? (k > 0 ? 1 - (u - x) : x - (u - 1)) / u : 0
    }
    const halfSquare = 0.5 * f * f
    return k * LN2_HI - (halfSquare - (logTail(f, halfSquare) + (k * LN2_LO + c)) - f)
  }

  function kernelSin(x: number, y: number) {
    const z = x * x
    const v = z * x
    const r =
      0.00833333333332249 +
      z *
        (-0.0001984126982985795 +
          z * (2.7557313707070068e-6 + z * (-2.5050760253406863e-8 + z * 1.58969099521155e-10)))
    return x - (z * (0.5 * y - v * r) - y - v * -0.16666666666666632)
  }

  function kernelCos(x: number, y: number) {
    const z = x * x
    const w = z * z
    const r =
      z * (0.0416666666666666 + z * (-0.001388888888887411 + z * 2.480158728947673e-5)) +
      w * w * (-2.7557314351390663e-7 + z * (2.087572321298175e-9 + z * -1.1359647557788195e-11))
    const hz = 0.5 * z
    const t = 1 - hz
    return t + (1 - t - hz + (z * r - x * y))
  }

  const PI4 = 0.7853981633974483
  const PI4_LO = 3.061616997868383e-17

  function kernelTan(x: number, y: number, odd: boolean) {
    const sign = x < 0
    const big = abs(x) >= 0.6744
    if (big) {
      if (sign) {
        x = -x
        y = -y
      }
      x = PI4 - x + (PI4_LO - y)
      y = 0
    }
    const z = x * x
    const w = z * z
    const r1 =
      0.13333333333320124 +
      w *
        (0.021869488294859542 +
          w *
            (0.0035920791075913124 +
              w * (0.0005880412408202641 + w * (7.817944429395571e-5 + w * -1.8558637485527546e-5))))
    const r2 =
      z *
      (0.05396825397622605 +
        w *
          (0.0088632398235993 +
            w *
              (0.0014562094543252903 +
                w * (0.0002464631348184699 + w * (7.140724913826082e-5 + w * 2.590730518636337e-5)))))
    const s = z * x
    const r = y + z * (s * (r1 + r2) + y) + s * 0.3333333333333341
    const sum = x + r
    if (big) {
      const v = odd ? -1 : 1
      return (sign ? -1 : 1) * (v - 2 * (x - ((sum * sum) / (sum + v) - r)))
    }
    if (!odd) return sum
    const zh = upper(sum)
    const v = r - (zh - x)
    const a = -1 / sum
    const t = upper(a)
    return t + a * (1 + t * zh + t * v)
  }

  // 2/π to 1216 bits and π/2 to 192 bits after the point
  const TWO_OVER_PI = toBig(
    '0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e0' +
      '06492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f4' +
      '9c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d' +
      '7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6bab'
  )
  const HALF_PI = 0x1921fb54442d18469898cc51701b839a252049c1114cf98e8n

  // x = n π/2 + (head + tail); n modulo 4
  let head = 0
  let tail = 0
  function reduce(x: number): number {
    const size = abs(x)
    if (size <= PI4) {
      head = x
      tail = 0
      return 0
    }
    if (size < 1647099) {
      const n = floor(size * 0.6366197723675814 + 0.5)
      let r = size - n * 1.5707963267341256
      let w = n * 6.077100506506192e-11
      head = r - w
      const ex = high(size) >> 20
      if (ex - ((high(head) >> 20) & 0x7ff) > 16) {
        let t = r
        w = n * 6.077100506303966e-11
        r = t - w
        w = n * 2.0222662487959506e-21 - (t - r - w)
        head = r - w
        if (ex - ((high(head) >> 20) & 0x7ff) > 49) {
          t = r
          w = n * 2.0222662487111665e-21
          r = t - w
          w = n * 8.4784276603689e-32 - (t - r - w)
          head = r - w
        }
      }
      tail = r - head - w
      if (x < 0) {
        head = -head
        tail = -tail
        return -n & 3
      }
      return n & 3
    }
    // exactly, in integers: x is m 2^e, and only the fraction of x 2/π matters
    const e = ((high(size) >> 20) & 0x7ff) - 1075
    const m = toBig(scale(size, -e))
    const product = e >= 0 ? (m * TWO_OVER_PI) << toBig(e) : (m * TWO_OVER_PI) >> toBig(-e)
    const whole = (product + (1n << 1215n)) >> 1216n
    const rest = (product - (whole << 1216n)) >> 1024n // 192 bits after the point, between -½ and ½
    const angle = rest * HALF_PI // 384 bits after the point
    head = scale(toNumber(angle >> 200n), -184)
    const exact = toBig(scale(head, 184)) << 200n
    tail = scale(toNumber((angle - exact) >> 100n), -284)
    const n = toNumber(whole & 3n)
    if (x < 0) {
      head = -head
      tail = -tail
      return -n & 3
    }
    return n
  }

  function sin(x: number): number {
    if (x - x !== 0) return NaN
    if (abs(x) < 7.450580596923828e-9) return x
    const n = reduce(x)
    const y = n & 1 ? kernelCos(head, tail) : kernelSin(head, tail)
    return n & 2 ? -y : y
  }

  function cos(x: number): number {
    if (x - x !== 0) return NaN
    const n = reduce(x)
    const y = n & 1 ? kernelSin(head, tail) : kernelCos(head, tail)
    return ((n + 1) & 2) !== 0 ? -y : y
  }

  function tan(x: number): number {
    if (x - x !== 0) return NaN
    if (abs(x) < 7.450580596923828e-9) return x
    const n = reduce(x)
    return kernelTan(head, tail, (n & 1) === 1)
  }

  const HALF_PI_HI = 1.5707963267948966
  const HALF_PI_LO = 6.123233995736766e-17

  /** (asin(√t) / √t - 1) as a quotient of polynomials */
  function asinRatio(t: number) {
    const p =
      t *
      (0.16666666666666666 +
        t *
          (-0.3255658186224009 +
            t *
              (0.20121253213486293 +
                t * (-0.04005553450067941 + t * (0.0007915349942898145 + t * 3.479331075960212e-5)))))
    const q =
      1 +
      t *
        (-2.403394911734414 + t * (2.0209457602335057 + t * (-0.6882839716054533 + t * 0.07703815055590194)))
    return p / q
  }

  function asin(x: number): number {
    const size = abs(x)
    if (!(size <= 1)) return NaN
    if (size === 1) return x * HALF_PI_HI + x * HALF_PI_LO
    if (size < 0.5) return size < 7.450580596923828e-9 ? x : x + x * asinRatio(x * x)
    const t = (1 - size) * 0.5
    const r = asinRatio(t)
    const s = sqrt(t)
    let y: number
    if (size >= 0.975) {
      y = HALF_PI_HI - (2 * (s + s * r) - HALF_PI_LO)
    } else {
      const w = upper(s)
      const c = (t - w * w) / (s + w)
      y = PI4 - (2 * s * r - (HALF_PI_LO - 2 * c) - (PI4 - 2 * w))
    }
    return x < 0 ? -y : y
  }

  function acos(x: number): number {
    const size = abs(x)
    if (!(size <= 1)) return NaN
    if (size === 1) return x > 0 ? 0 : PI
    if (size < 0.5) return HALF_PI_HI - (x - (HALF_PI_LO - x * asinRatio(x * x)))
    if (x < 0) {
      const z = (1 + x) * 0.5
      const s = sqrt(z)
      return PI - 2 * (s + (asinRatio(z) * s - HALF_PI_LO))
    }
    const z = (1 - x) * 0.5
    const s = sqrt(z)
    const df = upper(s)
    const c = (z - df * df) / (s + df)
    return 2 * (df + (asinRatio(z) * s + c))
  }

  function atan(x: number): number {
    if (isNan(x) || x === 0) return x
    const size = abs(x)
    if (size >= 7.378697629483821e19) return x < 0 ? -HALF_PI_HI : HALF_PI_HI
    let hi = 0
    let lo = 0
    let t = size
    let reduced = true
    if (size < 0.4375) {
      if (size < 7.450580596923828e-9) return x
      reduced = false
    } else if (size < 0.6875) {
      t = (2 * size - 1) / (2 + size)
      hi = 0.4636476090008061
      lo = 2.2698777452961687e-17
    } else if (size < 1.1875) {
      t = (size - 1) / (size + 1)
      hi = PI4
      lo = PI4_LO
    } else if (size < 2.4375) {
      t = (size - 1.5) / (1 + 1.5 * size)
      hi = 0.982793723247329
      lo = 1.3903311031230998e-17
    } else {
      t = -1 / size
      hi = HALF_PI_HI
      lo = HALF_PI_LO
    }
    const z = t * t
    const w = z * z
    const s1 =
      z *
      (0.3333333333333293 +
        w *
          (0.14285714272503466 +
            w *
              (0.09090887133436507 +
                w * (0.06661073137387531 + w * (0.049768779946159324 + w * 0.016285820115365782)))))
    const s2 =
      w *
      (-0.19999999999876483 +
        w *
          (-0.11111110405462356 +
            w * (-0.0769187620504483 + w * (-0.058335701337905735 + w * -0.036531572744216916))))
    const y = reduced ? hi - (t * (s1 + s2) - lo - t) : t - t * (s1 + s2)
    return x < 0 ? -y : y
  }

  function atan2(y: number, x: number): number {
    if (isNan(x) || isNan(y)) return NaN
    const negativeX = x < 0 || (x === 0 && 1 / x < 0)
    const negativeY = y < 0 || (y === 0 && 1 / y < 0)
    let z: number
    if (y === 0) z = negativeX ? PI : 0
    else if (x === 0) z = HALF_PI_HI
    else if (x - x !== 0) z = y - y !== 0 ? (negativeX ? 3 * PI4 : PI4) : negativeX ? PI : 0
    else if (y - y !== 0) z = HALF_PI_HI
    else {
      const k = (high(abs(y)) - high(abs(x))) >> 20
      if (k > 60) z = HALF_PI_HI + 0.5 * 1.2246467991473532e-16
      else if (negativeX && k < -60) z = PI
      else {
        z = atan(abs(y / x))
        if (negativeX) z = PI - (z - 1.2246467991473532e-16)
      }
    }
    return negativeY ? -z : z
  }

  function sinh(x: number): number {
    const size = abs(x)
    if (!(size > 3.725290298461914e-9)) return x
    const h = x < 0 ? -0.5 : 0.5
    if (size < 22) {
      const t = expm1(size)
      return size < 1 ? h * (2 * t - (t * t) / (t + 1)) : h * (t + t / (t + 1))
    }
    if (size < 709.7822265625) return h * exp(size)
    const w = exp(0.5 * size)
    return h * w * w
  }

  function cosh(x: number): number {
    const size = abs(x)
    if (isNan(x)) return x
    if (size < 0.34657359027997264) {
      const t = expm1(size)
      const w = 1 + t
      return size < 2.7755575615628914e-17 ? w : 1 + (t * t) / (w + w)
    }
    if (size < 22) {
      const t = exp(size)
      return 0.5 * t + 0.5 / t
    }
    if (size < 709.7822265625) return 0.5 * exp(size)
    const w = exp(0.5 * size)
    return 0.5 * w * w
  }

  function tanh(x: number): number {
    const size = abs(x)
    if (isNan(x) || size < 2.7755575615628914e-17) return x
    let z: number
    if (size >= 22) z = 1
    else if (size >= 1) z = 1 - 2 / (expm1(2 * size) + 2)
    else {
      const t = expm1(-2 * size)
      z = -t / (t + 2)
    }
    return x < 0 ? -z : z
  }

  function asinh(x: number): number {
    const size = abs(x)
    if (!(size < Infinity) || size < 3.725290298461914e-9) return x
    let w: number
    if (size > 268435456) {
      w = log(size) + LN2
    } else if (size > 2) {
      w = log(2 * size + 1 / (sqrt(x * x + 1) + size))
    } else {
      const t = x * x
      w = log1p(size + t / (1 + sqrt(1 + t)))
    }
    return x < 0 ? -w : w
  }

  function acosh(x: number): number {
    if (!(x >= 1)) return NaN
    if (x > 268435456) return log(x) + LN2
    if (x > 2) return log(2 * x - 1 / (x + sqrt(x * x - 1)))
    const t = x - 1
    return log1p(t + sqrt(2 * t + t * t))
  }

  function atanh(x: number): number {
    const size = abs(x)
    if (!(size <= 1)) return NaN
    if (size === 1) return x * Infinity
    if (size < 3.725290298461914e-9) return x
    const t = size + size
    const y = 0.5 * log1p(size < 0.5 ? t + (t * size) / (1 - size) : t / (1 - size))
    return x < 0 ? -y : y
  }

  function cbrt(x: number): number {
    if (x - x !== 0 || x === 0) return x
    const size = abs(x)
    let t: number
    if (size < 2.2250738585072014e-308) {
      t = withHigh(0, trunc((high(size * 1.8014398509481984e16) & 0x7fffffff) / 3) + 696219795)
    } else {
      t = withHigh(0, trunc(high(size) / 3) + 715094163)
    }
    const r = t * t * (t / size)
    t *=
      1.87595182427177 +
      r * (-1.8849797954337717 + r * 1.6214297201053545) +
      r * r * r * (-0.758397934778766 + r * 0.14599619288661245)
    // round t to 23 bits, so that t² is exact
    f64[0] = t
    const down = words[0]!
    words[0] = (down ^ 0x80000000) & 0xc0000000
    if (down < 0) words[1] = words[1]! + 1
    t = f64[0]
    const s = t * t
    const q = size / s
    t += t * ((q - t) / (t + t + q))
    return x < 0 ? -t : t
  }

  function hypot(values: number[]): number {
    let largest = 0
    let nan = false
    for (let i = 0; i < values.length; i++) {
      const size = abs(values[i]!)
      if (size === Infinity) return Infinity
      if (isNan(size)) nan = true
      else if (size > largest) largest = size
    }
    if (nan) return NaN
    if (largest === 0) return 0
    let sum = 0
    let lost = 0
    for (let i = 0; i < values.length; i++) {
      const n = values[i]! / largest
      const summand = n * n - lost
      const next = sum + summand
      lost = next - sum - summand
      sum = next
    }
    return sqrt(sum) * largest
  }

  // ---- integer powers: repeated squaring in pairs of doubles (Dekker), about 100 bits ----
  let pairHi = 0
  let pairLo = 0
  function multiply(aHi: number, aLo: number, bHi: number, bLo: number) {
    const p = aHi * bHi
    let t = 134217729 * aHi
    const a1 = t - (t - aHi)
    const a2 = aHi - a1
    t = 134217729 * bHi
    const b1 = t - (t - bHi)
    const b2 = bHi - b1
    const e = a1 * b1 - p + a1 * b2 + a2 * b1 + a2 * b2 + (aHi * bLo + aLo * bHi)
    pairHi = p + e
    pairLo = p - pairHi + e
  }

  function powerOfInteger(x: number, y: number) {
    let hi = 1
    let lo = 0
    let n = abs(y)
    const k = ((high(x) >> 20) & 0x7ff) - 1023
    let baseHi = scale(x, -k)
    let baseLo = 0
    for (;;) {
      if (n % 2 === 1) {
        multiply(hi, lo, baseHi, baseLo)
        hi = pairHi
        lo = pairLo
      }
      n = floor(n / 2)
      if (n === 0) break
      multiply(baseHi, baseLo, baseHi, baseLo)
      baseHi = pairHi
      baseLo = pairLo
    }
    if (y > 0) return scale(hi, k * y) // the pair is normal: hi is the rounded sum
    const inverse = 1 / hi
    multiply(inverse, 0, hi, lo)
    return scale(inverse + inverse * (1 - pairHi - pairLo), k * y)
  }

  function pow(x: number, y: number): number {
    if (y === 0) return 1
    if (isNan(x) || isNan(y)) return NaN
    const size = abs(x)
    const ySize = abs(y)
    if (ySize === Infinity) {
      if (size === 1) return NaN
      return size > 1 === y > 0 ? Infinity : 0
    }
    if (y === 1) return x
    if (y === 2) return x * x
    if (y === 0.5 && x >= 0) return sqrt(x) + 0
    if (y === -1) return 1 / x
    const whole = floor(y) === y
    const odd = whole && ySize < 9007199254740992 && ySize % 2 === 1
    if (size === 0 || size === Infinity || size === 1) {
      if (size === 1) return x > 0 ? 1 : !whole ? NaN : odd ? -1 : 1
      const result = (size === 0) === y > 0 ? 0 : Infinity
      const negative = x < 0 || (x === 0 && 1 / x < 0)
      return negative && odd ? -result : result
    }
    if (x < 0 && !whole) return NaN
    const sign = x < 0 && odd ? -1 : 1
    if (whole && ySize <= 512 && size >= 2.2250738585072014e-308) return sign * powerOfInteger(size, y)

    let n = 0
    let t1: number
    let t2: number
    if (ySize > 2147483648) {
      if (ySize > 1.8446744073709552e19) {
        if (size < 1) return y < 0 ? Infinity : 0
        return y > 0 ? Infinity : 0
      }
      if (size < 0.9999995231628418) return y < 0 ? sign * Infinity : sign * 0
      if (size > 1.0000009536743162) return y > 0 ? sign * Infinity : sign * 0
      const t = size - 1
      const w = t * t * (0.5 - t * (0.3333333333333333 - t * 0.25))
      const u = 1.4426950216293335 * t
      const v = t * 1.9259629911266175e-8 - w * LOG2E
      t1 = upper(u + v)
      t2 = v - (t1 - u)
    } else {
      let ax = size
      if (ax < 2.2250738585072014e-308) {
        ax *= 9007199254740992
        n -= 53
      }
      let ix = high(ax)
      n += (ix >> 20) - 1023
      const j = ix & 0xfffff
      ix = j | 0x3ff00000
      let k = 0
      if (j > 0x3988e) {
        if (j < 0xbb67a) k = 1
        else {
          n++
          ix -= 0x100000
        }
      }
      ax = withHigh(ax, ix)
      const bp = k === 0 ? 1 : 1.5
      const u = ax - bp
      const v = 1 / (ax + bp)
      const ss = u * v
      const sh = upper(ss)
      const th = withHigh(0, ((ix >> 1) | 0x20000000) + 0x80000 + (k << 18))
      const tl = ax - (th - bp)
      const sl = v * (u - sh * th - sh * tl)
      let s2 = ss * ss
      let r =
        s2 *
        s2 *
        (0.5999999999999946 +
          s2 *
            (0.4285714285785502 +
              s2 *
                (0.33333332981837743 +
                  s2 * (0.272728123808534 + s2 * (0.23066074577556175 + s2 * 0.20697501780033842)))))
      r += sl * (sh + ss)
      s2 = sh * sh
      const th3 = upper(3 + s2 + r)
      const tl3 = r - (th3 - 3 - s2)
      const u3 = sh * th3
      const v3 = sl * th3 + tl3 * ss
      const ph = upper(u3 + v3)
      const pl = v3 - (ph - u3)
      const zh = 0.9617967009544373 * ph
      const zl = -7.028461650952758e-9 * ph + pl * 0.9617966939259756 + (k === 0 ? 0 : 1.350039202129749e-8)
      const dp = k === 0 ? 0 : 0.5849624872207642
      t1 = upper(zh + zl + dp + n)
      t2 = zl - (t1 - n - dp - zh)
    }
    const y1 = upper(y)
    const pl = (y - y1) * t1 + y * t2
    let ph = y1 * t1
    let z = pl + ph
    if (z >= 1024) {
      if (z > 1024 || pl + 8.008566259537294e-17 > z - ph) return sign * Infinity
    } else if (z <= -1075) {
      if (z < -1075 || pl <= z - ph) return sign * 0
    }
    const k = abs(z) > 0.5 ? floor(z + 0.5) : 0
    ph -= k
    const t = upper(pl + ph)
    const u = t * 0.6931471824645996
    const v = (pl - (t - ph)) * LN2 + t * -1.904654299957768e-9
    z = u + v
    const w = v - (z - u)
    const zz = z * z
    const c =
      z -
      zz *
        (0.16666666666666602 +
          zz *
            (-0.0027777777777015593 +
              zz * (6.613756321437934e-5 + zz * (-1.6533902205465252e-6 + zz * 4.1381367970572385e-8))))
    const r = (z * c) / (c - 2) - (w + z * w)
    return sign * scale(1 - (r - z), k)
  }

  return {
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cbrt,
    cos,
    cosh,
    exp,
    expm1,
    hypot,
    log,
    log10,
    log1p,
    log2,
    pow,
    sin,
    sinh,
    tan,
    tanh
  }
}
