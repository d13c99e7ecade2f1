// Package trial decides whether an artifact that has just become active has proven itself, has to be taken back, or needs more
// time; it reads no clock, does no input or output, and never takes the absence of evidence for health.
//
// A trial begins when other content than before becomes active. [Step] is handed what was observed since the last look, and
// answers with a [Verdict]. Everything that it knows is in [State], which is written to disk by somebody else: after a kill or
// a power cut the trial goes on with what was written last, and the new boot is itself part of the evidence.
//
// What the previous content did under the same eyes is the measure for the new one: trips of the interlock per hour, and the
// statistics of [Metric]. Where there is no such measure, a criterion that needs it stays unproven.
package trial
