-- ARGV: ref. Returns the job as it then stands, or nothing when there is none.
if not load_job() then return {} end
if not is_over() then
  end_job('cancelled')
  commit()
end
return whole_job()
