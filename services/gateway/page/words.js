// What codes of the API mean to a person. A code that is not here is shown as it is, never left out.

const plain = (code) => String(code).replaceAll("_", " ");
const said = (table) => (code) => table[code] ?? plain(code);

export const state = said({
  queued: "Queued", running: "Reading", completed: "Completed", failed: "Failed", cancelled: "Called off", expired: "Expired",
});

export const band = said({ low: "Low", moderate: "Moderate", high: "High" });

export const abstained = said({
  out_of_distribution: "This is not the kind of image the model was trained on, so what it says of it means nothing.",
  inconclusive: "The evidence in this image does not separate the two labels.",
});

export const abstainedShort = said({ out_of_distribution: "Unknown kind of image", inconclusive: "Inconclusive" });

export const review = said({
  readers_disagree: "The two readers disagree.",
  ml_abstained: "The model declined to decide.",
  gemini_undecided: "Gemini declined to decide.",
  near_threshold: "The probability is close to the threshold.",
});

export const noReading = said({
  not_configured: "No second reader is configured here.",
  rate_limited: "Gemini's limit of requests was reached.",
  daily_budget_spent: "Today's budget of Gemini requests is spent.",
  circuit_open: "Gemini has been failing and is left alone for now.",
  server_error: "Gemini answered with an error of its own.",
  timeout: "Gemini did not answer in time.",
  connection: "The connection to Gemini failed.",
  invalid_response: "Gemini's answer was not of the agreed form.",
  empty_response: "Gemini's answer was empty.",
  blocked: "Gemini declined to look at this image.",
  key_rejected: "Gemini refused the key.",
  request_rejected: "Gemini refused the request.",
  no_worker: "No worker for the second reading was alive.",
  busy: "All workers for the second reading were busy.",
  worker_lost: "Workers died on the second reading.",
  internal_error: "The second reading failed on our side.",
  image_unreadable: "The image could not be prepared for sending.",
  burned_in_text: "Writing is part of the picture, so it stayed in the house.",
  all_frames: "All frames were to be read, and Gemini is asked about one picture alone.",
  model_not_installed: "The model that was asked for is not installed.",
  modality_mismatch: "The image is of a modality that the model is not made for.",
});

export const agreement = {
  agree: { sign: "=", tone: "low", text: "They agree" },
  disagree: { sign: "≠", tone: "bad", text: "They disagree" },
  undecided: { sign: "?", tone: "doubt", text: "Undecided" },
  single_reader: { sign: "1", tone: "warn", text: "One reader only" },
};

export const incomparable = said({
  different_model: "it was read by another model",
  different_body_part: "it shows another body part",
  abstained: "one of the two readings declined to decide",
});

export const direction = said({ rise: "Higher than before", fall: "Lower than before", stable: "As before" });

export const policy = said({ weighted: "weighted average of both readers", highest_confidence: "the surer reader decides" });

/** How the result of a job reads in one word, with its tone. No label is no "Negative". */
export function verdict(result) {
  if (!result.label) return { word: "No decision", tone: "doubt" };
  return { word: result.label, tone: result.risk.band };
}

/** What a person may call the job by. */
export function title(job) {
  const given = job.metadata?.reference ?? job.client_id ?? job.image.dicom?.accession_number;
  return given ? String(given) : `Job …${job.id.slice(-6)}`;
}
