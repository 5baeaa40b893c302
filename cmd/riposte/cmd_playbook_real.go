package main

func (c *playbookRunCmd) real(w *world, s *sheet, o occasion) error {
	return misusef("name mocks by --mocks or --test")
}
