// Package config loads and checks the robot's four configuration documents, the same way for `robowarden check` and for
// `robowarden run`; it never decides on signatures, never opens a device and never fills in a safety value by itself.
//
// A configuration is split by who answers for it: the robot profile by the vendor, the topic mapping by the integrator,
// the policy by the safety engineer, the deployment by IT. Each document starts with its kind and version. The struct
// fields below are the schema: the tag cfg names the key, and the tags range, enum, form and len say what is accepted.
// Keys are required unless the tag says optional. The JSON Schemas in configs are made from the same fields.
package config
