// Package configs holds the documents that come with the binary: the demonstration's configuration, examples, and the JSON
// Schemas of documents and messages; it never reads, checks or changes one.
package configs

import (
	"embed"
	"io/fs"
)

//go:embed *.schema.json messages/*.schema.json demo/*.yaml examples/*/*.yaml examples/*/*.idl examples/*/*.urdf
var files embed.FS

// FS returns the files, by their path below this folder.
func FS() fs.FS { return files }

// The folders of complete configurations; each has profile.yaml, topics.yaml, policy.yaml and deployment.yaml.
const (
	// Demo is a humanoid in a hospital of two storeys. Its documents explain every key.
	Demo = "demo"
	// DiffDrive is a two-wheeled robot in a hall.
	DiffDrive = "examples/diff-drive"
	// DiffDriveROS2 is the same robot with ROS 2: only the profile's bus and the deployment's way to it differ.
	DiffDriveROS2 = "examples/diff-drive-ros2"
	// HumanoidDDS is a humanoid whose body speaks plain DDS in its vendor's types, which are in unitree_hg.idl.
	HumanoidDDS = "examples/humanoid-dds"
	// Humanoid is the demonstration's robot with a URDF, and zones for its hands and its camera.
	Humanoid = "examples/humanoid"
)

// Messages is the folder of the JSON Schemas of what a robot sends: one for each topic, its slash written as a hyphen, and
// common.schema.json, which they share.
const Messages = "messages"

// SchemaFile returns the name of the JSON Schema for a kind of document.
func SchemaFile(kind string) string { return kind + ".schema.json" }
