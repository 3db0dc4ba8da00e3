/** A rule or subscription that cannot be kept; the message names the field. */
export class RuleError extends Error {
  override readonly name = 'RuleError'
}

/** No such rule, subscription or secret. */
export class UnknownRuleError extends Error {
  override readonly name = 'UnknownRuleError'
}

/** A page that the rule cannot be applied to. */
export class ExtractionError extends Error {
  override readonly name = 'ExtractionError'
}

/** An answer that is no page, or pages that are too long. */
export class PageError extends Error {
  override readonly name = 'PageError'
}

/** The site could not be entered as the rule says. */
export class LoginError extends Error {
  override readonly name = 'LoginError'
}

/** Too few nodes have looked for a majority. */
export class AgreementError extends Error {
  override readonly name = 'AgreementError'
}

/** A message that the other side did not take. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError'
}
