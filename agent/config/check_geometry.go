package config

func (d *document) checkGeometry(*Policy, *Profile, *Topics) {}
